#include "wordpiece.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>
#include <utility>

#include "padding.h"
#include "text_file.h"

namespace rowlane::examples {
namespace {

constexpr std::size_t kMaxWordLength = 100;  // characters

bool is_control(utf8proc_int32_t character) {
  const utf8proc_category_t category = utf8proc_category(character);
  // "Other" is what Unicode calls controls, formats, surrogates, private and unassigned characters.
  const bool is_other = category == UTF8PROC_CATEGORY_CN || category >= UTF8PROC_CATEGORY_CC;
  return is_other || character == 0xFFFD;
}

bool is_white_space(utf8proc_int32_t character) {
  return character == ' ' || character == '\t' || character == '\n' || character == '\r' ||
         utf8proc_category(character) == UTF8PROC_CATEGORY_ZS;
}

// Unicode's punctuation, and every other mark of ASCII: BERT takes $ and ^ for punctuation too. Not
// asked about controls.
bool is_punctuation(utf8proc_int32_t character) {
  if (character < 128) {
    return character > ' ' && std::isalnum(static_cast<unsigned char>(character)) == 0;
  }
  const utf8proc_category_t category = utf8proc_category(character);
  return UTF8PROC_CATEGORY_PC <= category && category <= UTF8PROC_CATEGORY_PO;
}

// The blocks "CJK Unified Ideographs" with their extensions, and compatibility ideographs.
bool is_ideograph(utf8proc_int32_t character) {
  struct Block {
    utf8proc_int32_t first, last;
  };
  constexpr std::array kBlocks = {Block{0x4E00, 0x9FFF},   Block{0x3400, 0x4DBF},
                                  Block{0x20000, 0x2A6DF}, Block{0x2A700, 0x2B73F},
                                  Block{0x2B740, 0x2B81F}, Block{0x2B820, 0x2CEAF},
                                  Block{0xF900, 0xFAFF},   Block{0x2F800, 0x2FA1F}};
  return std::ranges::any_of(kBlocks, [character](const Block& block) {
    return block.first <= character && character <= block.last;
  });
}

void append_utf8(std::string& text, utf8proc_int32_t character) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto size = static_cast<std::size_t>(utf8proc_encode_char(character, bytes.data()));
  text.append(reinterpret_cast<const char*>(bytes.data()), size);
}

// Appends the character's letters without accents, in lower case: é gives e.
void append_lower(std::string& word, utf8proc_int32_t character) {
  std::array<utf8proc_int32_t, 32> parts{};  // the longest decomposition has 4
  int boundary = 0;
  const auto num_parts =
      utf8proc_decompose_char(character, parts.data(), static_cast<utf8proc_ssize_t>(parts.size()),
                              UTF8PROC_DECOMPOSE, &boundary);
  for (utf8proc_ssize_t i = 0; i < num_parts; ++i) {
    if (utf8proc_category(parts[static_cast<std::size_t>(i)]) != UTF8PROC_CATEGORY_MN) {
      append_utf8(word, utf8proc_tolower(parts[static_cast<std::size_t>(i)]));
    }
  }
}

std::size_t num_characters(std::string_view text) {
  // Every byte but those that continue a character.
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; }));
}

}  // namespace

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) {
      words.push_back(std::move(word));
    }
    word.clear();
  };
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto num_left = static_cast<utf8proc_ssize_t>(text.size());
  while (num_left > 0) {
    utf8proc_int32_t character = 0;
    const utf8proc_ssize_t result = utf8proc_iterate(bytes, num_left, &character);
    const utf8proc_ssize_t size = std::max<utf8proc_ssize_t>(result, 1);
    bytes += size;
    num_left -= size;
    if (result < 0) {
      continue;
    }
    if (is_white_space(character)) {
      end_word();
    } else if (is_control(character)) {
      continue;
    } else if (is_punctuation(character) || is_ideograph(character)) {
      end_word();
      append_lower(word, character);
      end_word();
    } else {
      append_lower(word, character);
    }
  }
  end_word();
  return words;
}

WordPiece::WordPiece(const std::filesystem::path& vocabulary) {
  for (std::string& line : read_lines(vocabulary)) {
    numbers_.emplace(line, size());
    pieces_.push_back(std::move(line));
  }
  padding_row_ = required_row("[PAD]", vocabulary);
  unknown_row_ = required_row("[UNK]", vocabulary);
  begin_row_ = required_row("[CLS]", vocabulary);
  end_row_ = required_row("[SEP]", vocabulary);
}

const std::string& WordPiece::piece(std::int64_t row) const {
  return pieces_.at(static_cast<std::size_t>(row));
}

std::int64_t WordPiece::row_of(const std::string& piece) const {
  const auto found = numbers_.find(piece);
  return found == numbers_.end() ? -1 : found->second;
}

std::int64_t WordPiece::required_row(const std::string& piece,
                                     const std::filesystem::path& path) const {
  const std::int64_t row = row_of(piece);
  if (row < 0) {
    throw std::runtime_error(path.string() + " is no vocabulary of BERT: it has no " + piece);
  }
  return row;
}

std::vector<std::int64_t> WordPiece::rows(std::string_view text) const {
  std::vector<std::int64_t> rows;
  for (const std::string& word : split_words(text)) {
    const std::size_t num_rows_before = rows.size();
    std::size_t begin = 0;
    bool is_known = num_characters(word) <= kMaxWordLength;
    while (is_known && begin < word.size()) {
      std::int64_t row = -1;
      std::size_t length = word.size() - begin;
      // A length within a character gives no piece of the vocabulary.
      for (; length > 0 && row < 0; --length) {
        row = row_of((begin > 0 ? "##" : "") + word.substr(begin, length));
      }
      is_known = row >= 0;
      rows.push_back(row);
      begin += length + 1;
    }
    if (!is_known) {
      rows.resize(num_rows_before);
      rows.push_back(unknown_row_);
    }
  }
  return rows;
}

at::Tensor WordPiece::encode(std::span<const std::string> texts) const {
  std::vector<std::vector<std::int64_t>> lines;
  for (const std::string& text : texts) {
    std::vector<std::int64_t> line = rows(text);
    line.insert(line.begin(), begin_row_);
    line.push_back(end_row_);
    lines.push_back(std::move(line));
  }
  return pad_rows(lines, padding_row_);
}

}  // namespace rowlane::examples
