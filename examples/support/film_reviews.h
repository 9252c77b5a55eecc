// Sentences of film reviews with the verdict of their readers, as rows of a table.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

#include "pretrained_table.h"

namespace rowlane::examples {

struct FilmReviews {
  at::Tensor rows;      // [num_reviews, longest], int64: the words' rows, filled up with padding
  at::Tensor verdicts;  // [num_reviews], float: 1 for good, 0 for bad

  std::int64_t size() const { return rows.size(0); }
  FilmReviews select(const at::Tensor& positions) const;
  FilmReviews narrow(std::int64_t start, std::int64_t length) const;
};

// Reads the file that scripts/data/film_reviews.py writes and looks its words up. Sentences that
// the readers found neither good nor bad, 37 of them, are left out.
//
// Throws std::runtime_error, naming the command that gets the data when it is missing.
FilmReviews read_film_reviews(const std::filesystem::path& directory,
                              const PretrainedTable& pretrained);

}  // namespace rowlane::examples
