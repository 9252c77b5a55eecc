// A text as numbers: its vocabulary and the words of its lines.
//
// accepted                                    | refused
// --------------------------------------------+---------------------------------------------------
// what text_file.h says                       | (text_file.h's)
// words between white space, whatever else    | PATH: no word occurs 5 times
//   they are made of                          |
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace rowlane::examples {

// Words numbered from the most frequent one; equally frequent ones in the order of the alphabet.
class Vocabulary {
 public:
  Vocabulary() = default;
  // `words` are all different.
  explicit Vocabulary(std::vector<std::string> words);

  const std::vector<std::string>& words() const { return words_; }
  std::int64_t size() const { return static_cast<std::int64_t>(words_.size()); }
  // -1 for a word that is not in it.
  std::int64_t find(std::string_view word) const;

 private:
  struct Hash {
    // The name that maps ask for. NOLINTNEXTLINE(readability-identifier-naming)
    using is_transparent = void;
    std::size_t operator()(std::string_view word) const {
      return std::hash<std::string_view>()(word);
    }
  };

  std::vector<std::string> words_;
  std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>> numbers_;
};

struct Corpus {
  Vocabulary vocabulary;
  std::vector<std::int64_t> counts;     // of each word of the vocabulary
  std::vector<std::int32_t> tokens;     // the text
  std::vector<std::int64_t> line_ends;  // line i is tokens [line_ends[i - 1], line_ends[i])
  std::int64_t num_words = 0;           // of the text, with those that were left out
};

struct CorpusOptions {
  std::int64_t min_count = 5;  // the vocabulary is of words that occur so many times or more,
  std::int64_t max_words = std::numeric_limits<std::int64_t>::max();  // the most frequent of them
  std::string unknown;  // its last word, which stands for all others; if empty, they are left out
};

// Reads a text of words between white space.
//
// Throws std::runtime_error for what the table above refuses.
Corpus read_corpus(const std::filesystem::path& path, const CorpusOptions& options);

}  // namespace rowlane::examples
