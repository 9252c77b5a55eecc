// BERT's tokenizer for models that don't tell upper from lower case.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace rowlane::examples {

// The words of a text: lower case, without accents, cut at white space; a punctuation mark or an
// ideograph is a word of its own. What isn't UTF-8 is left out.
std::vector<std::string> split_words(std::string_view text);

// Cuts words into the pieces of a vocabulary. Source: Y. Wu et al., "Google's Neural Machine
// Translation System", and BERT's reference implementation.
class WordPiece {
 public:
  // Reads a vocabulary: one piece in a line, numbered from 0.
  //
  // Throws std::runtime_error when the file can't be read or lacks [PAD], [UNK], [CLS] or [SEP].
  explicit WordPiece(const std::filesystem::path& vocabulary);

  std::int64_t size() const { return static_cast<std::int64_t>(pieces_.size()); }
  std::int64_t padding_row() const { return padding_row_; }
  std::int64_t unknown_row() const { return unknown_row_; }
  const std::string& piece(std::int64_t row) const;

  // Rows of the pieces of `text`. Of a word the longest piece that it begins with is taken, then
  // the longest of what follows, spelt with ## in front; [UNK] stands for a word that can't be cut
  // so, or has more than 100 characters.
  std::vector<std::int64_t> rows(std::string_view text) const;

  // [CLS] pieces [SEP] for each text, filled up with [PAD]: [texts.size(), longest], int64.
  at::Tensor encode(std::span<const std::string> texts) const;

 private:
  std::int64_t row_of(const std::string& piece) const;  // -1 when there is none
  std::int64_t required_row(const std::string& piece, const std::filesystem::path& path) const;

  std::vector<std::string> pieces_;
  std::unordered_map<std::string, std::int64_t> numbers_;
  std::int64_t padding_row_, unknown_row_, begin_row_, end_row_;
};

}  // namespace rowlane::examples
