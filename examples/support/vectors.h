// Word vectors as a table.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "vector_file.h"

namespace rowlane::examples {

// A table, and the word that each of its rows stands for.
struct WordVectors {
  std::vector<std::string> words;  // one for each row
  at::Tensor table;                // [words.size(), dim], float, contiguous, on the CPU
};

// Throws std::runtime_error for what vector_file.h refuses.
WordVectors read_vectors(const std::filesystem::path& path, VectorFormat format);

// Throws as write_vector_file(), and std::invalid_argument when the table isn't [words.size(), dim]
// with at least one element.
void write_vectors(const std::filesystem::path& path, const WordVectors& vectors,
                   VectorFormat format);

}  // namespace rowlane::examples
