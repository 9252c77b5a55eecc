// Files of word vectors: the text and the binary format of word2vec, and the text format of GloVe.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

namespace rowlane::examples {

// A table, and the word that each of its rows stands for.
struct WordVectors {
  std::vector<std::string> words;  // one for each row
  at::Tensor table;                // [words.size(), dim], float, contiguous, on the CPU
};

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

// Throws std::runtime_error, naming the file, the offset in bytes and the line, when the file can't
// be read, ends early, has more than was announced, or a line has too few numbers or no word.
WordVectors read_vectors(const std::filesystem::path& path, VectorFormat format);

// Writes every number so that read_vectors gets the same bits.
//
// Throws std::runtime_error when the file can't be written, and std::invalid_argument when the
// table isn't [words.size(), dim] with at least one element or a word is empty or has white space
// in it.
void write_vectors(const std::filesystem::path& path, const WordVectors& vectors,
                   VectorFormat format);

}  // namespace rowlane::examples
