// Tables that others trained, with what finds the row of a word.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "vectors.h"

namespace rowlane::examples {

struct PretrainedTable {
  at::Tensor table;                // [num_rows, dim], float; its padding row is zeros
  std::vector<std::string> words;  // one for each row
  std::int64_t padding_row;
  std::int64_t unknown_row;
  // The rows of the words of a text; the unknown row for a word that has none.
  std::function<std::vector<std::int64_t>(std::string_view)> rows_of;
};

// The words of `vectors` as split_words() cuts them from a text, below two new rows: row 0, <pad>,
// is zeros; row 1, <unk>, is the mean of all rows, which is what a word looks like of which nothing
// is known. Of a word that comes twice the first row is taken.
PretrainedTable add_special_rows(const WordVectors& vectors);

// The token table of MiniLM in `directory` (model.safetensors and vocab.txt), found by word pieces.
//
// Throws std::runtime_error when a file can't be read or the two don't fit, naming the command that
// gets them when one is missing.
PretrainedTable read_minilm_table(const std::filesystem::path& directory);

}  // namespace rowlane::examples
