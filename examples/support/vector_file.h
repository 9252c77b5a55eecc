// Files of word vectors: the text and the binary format of word2vec, and the text format of GloVe.
//
// accepted                                         | refused, after "PATH: offset 4 (line 2): "
// -------------------------------------------------+----------------------------------------------
// of text what text_file.h says; spaces at the     | (text_file.h's)
//   ends of lines; GloVe: empty lines              |
// word2vec: a first line "num_words dim", both 1   | the first line must be the number of words and
//   or more                                        |   dim, got "the 1 2"
// as many words as it announces, and white space   | the file announces 8 words of dim 1 and has
//   after them                                     |   only 12 bytes
//                                                  | the file ends after 1 of 2 words
//                                                  | the file should end here: all the words that
//                                                  |   it announces are read
// GloVe: a first line that tells dim               | the file is empty
//                                                  | a line must be a word and its numbers, got "a"
//                                                  | "2 3" begins a file in word2vec's text format
// a word, in GloVe with spaces but in the first    | the word is missing
//   line                                           |
// dim numbers a line                               | a line must be a word and 3 numbers, got 2
//                                                  |   numbers
//                                                  | a line must be a word and 2 numbers, got more:
//                                                  |   "the 1"
// numbers that are floats, "nan" and "inf" too     | "2x" is not a float
// binary: after a word a space and dim             | the file ends where a word was expected
//   little-endian floats, with or without a line   | the file ends within a vector of 2 floats
//   feed                                           |
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace rowlane::examples {

enum class VectorFormat : std::uint8_t {
  // A line "num_words dim", then for each word a line "word x_1 … x_dim". As written by word2vec.c
  // and by gensim's save_word2vec_format.
  kWord2vecText,
  // A line "num_words dim", then for each word its bytes, a space, dim little-endian floats and a
  // line feed, which a reader does without: gensim writes none.
  kWord2vecBinary,
  // As kWord2vecText without the first line. Some published files have spaces within words, so the
  // last dim numbers of a line are its vector; dim is taken from the first line.
  kGloveText,
};

struct VectorData {
  std::vector<std::string> words;
  std::int64_t dim;
  std::vector<float> numbers;  // [words.size(), dim]
};

// Throws std::runtime_error for what the table above refuses.
VectorData read_vector_file(const std::filesystem::path& path, VectorFormat format);

// Throws std::invalid_argument when a word is empty or has white space in it; GloVe's but the first
// may have spaces.
void check_words(const std::vector<std::string>& words, VectorFormat format);

// Writes every number so that read_vector_file gets the same bits. `numbers` [words.size(), dim].
//
// Throws what check_words() throws, and std::runtime_error when the file can't be written.
void write_vector_file(const std::filesystem::path& path, const std::vector<std::string>& words,
                       std::span<const float> numbers, VectorFormat format);

}  // namespace rowlane::examples
