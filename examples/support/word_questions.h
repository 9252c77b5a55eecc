// Files of questions that test word vectors.
//
// accepted                                        | refused, after "PATH: unexpected line: "
// ------------------------------------------------+-----------------------------------------------
// what text_file.h says; empty lines              | (text_file.h's)
// of pairs: lines that begin with '#', which are  | a line of other than three fields between
//   skipped, and lines "word word judgement"      |   white space, or whose last is no number
// of analogies: lines that begin with ':', which  | a line of other than four words
//   are skipped, and lines "a b c d"              |
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace rowlane::examples {

// How similar two words are to people.
struct JudgedPair {
  std::array<std::string, 2> words;
  double judgement;  // finite
};

// d is to c as b is to a.
using Analogy = std::array<std::string, 4>;

// Both read in lower case, and throw std::runtime_error for what the table above refuses.
std::vector<JudgedPair> read_judged_pairs(const std::filesystem::path& path);
std::vector<Analogy> read_analogies(const std::filesystem::path& path);

}  // namespace rowlane::examples
