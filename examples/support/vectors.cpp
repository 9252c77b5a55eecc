#include "vectors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace rowlane::examples {
namespace {

static_assert(std::endian::native == std::endian::little, "the binary format is little-endian");

constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";

// A file that is read from its beginning to its end and knows where it is.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path), file_(path, std::ios::binary) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (error || !file_) {
      throw std::runtime_error("cannot read " + path.string());
    }
    size_ = static_cast<std::int64_t>(size);
  }

  std::int64_t size() const { return size_; }
  bool is_at_end() const { return offset_ >= size_; }

  // The next line, without its end and white space before that. Errors point at its beginning until
  // the next read.
  std::string_view line() {
    begin_item();
    ++line_number_;
    std::getline(file_, text_);
    offset_ = std::min(offset_ + static_cast<std::int64_t>(text_.size()) + 1, size_);
    const std::size_t last = text_.find_last_not_of(kWhiteSpace);
    return std::string_view(text_).substr(0, last == std::string::npos ? 0 : last + 1);
  }

  // The bytes before the next space, without line feeds before them.
  std::string word() {
    while (file_.peek() == '\n') {
      file_.get();
      ++offset_;
    }
    begin_item();
    std::string word;
    std::getline(file_, word, ' ');
    offset_ += static_cast<std::int64_t>(word.size()) + 1;
    if (file_.eof()) {
      fail("the file ends where a word was expected");
    }
    return word;
  }

  void floats(std::span<float> out) {
    begin_item();
    const auto num_bytes = static_cast<std::streamsize>(out.size_bytes());
    file_.read(reinterpret_cast<char*>(out.data()), num_bytes);
    if (file_.gcount() != num_bytes) {
      fail("the file ends within a vector of " + std::to_string(out.size()) + " floats");
    }
    offset_ += num_bytes;
  }

  // White space may follow what was read last.
  void expect_end() {
    leave_lines();
    while (kWhiteSpace.find(static_cast<char>(file_.peek())) != std::string_view::npos) {
      file_.get();
      ++offset_;
    }
    begin_item();
    if (file_.peek() != std::ifstream::traits_type::eof()) {
      fail("the file should end here: all the words that it announces are read");
    }
  }

  [[noreturn]] void fail(const std::string& what) const {
    std::string place = path_.string() + ": offset " + std::to_string(item_offset_);
    if (line_number_ > 0) {
      place += " (line " + std::to_string(line_number_) + ")";
    }
    throw std::runtime_error(place + ": " + what);
  }

  // From here on what is read isn't lines.
  void leave_lines() { line_number_ = 0; }

 private:
  void begin_item() { item_offset_ = offset_; }

  std::filesystem::path path_;
  std::ifstream file_;
  std::string text_;
  std::int64_t size_ = 0;
  std::int64_t offset_ = 0;       // of what is read next
  std::int64_t item_offset_ = 0;  // of what was read last
  std::int64_t line_number_ = 0;
};

template <typename Number>
bool parse(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

struct Header {
  std::int64_t num_words;
  std::int64_t dim;
};

// `min_number_bytes`: the least that a number takes in this format. So that a wrong header doesn't
// ask for more memory than the file could fill.
Header read_header(Reader& reader, std::int64_t min_number_bytes) {
  const std::string_view line = reader.line();
  const std::size_t space = line.find(' ');
  Header header{};
  if (space == std::string_view::npos || !parse(line.substr(0, space), header.num_words) ||
      !parse(line.substr(space + 1), header.dim) || header.num_words <= 0 || header.dim <= 0) {
    reader.fail("the first line must be the number of words and dim, got \"" +
                std::string(line.substr(0, 60)) + "\"");
  }
  const std::int64_t most_numbers = reader.size() / min_number_bytes;
  if (header.dim > most_numbers || header.num_words > most_numbers / header.dim) {
    reader.fail("the file announces " + std::to_string(header.num_words) + " words of dim " +
                std::to_string(header.dim) + " and has only " + std::to_string(reader.size()) +
                " bytes");
  }
  return header;
}

// Reads "word x_1 … x_dim" from the end, and returns the word.
std::string_view parse_row(const Reader& reader, std::string_view line, std::span<float> row) {
  for (std::size_t i = row.size(); i-- > 0;) {
    const std::size_t space = line.rfind(' ');
    if (space == std::string_view::npos) {
      reader.fail("a line must be a word and " + std::to_string(row.size()) + " numbers, got " +
                  std::to_string(row.size() - 1 - i) + " numbers");
    }
    const std::string_view number = line.substr(space + 1);
    if (!parse(number, row[i])) {
      reader.fail("\"" + std::string(number) + "\" is not a float");
    }
    line = line.substr(0, space);
  }
  if (line.empty()) {
    reader.fail("the word is missing");
  }
  return line;
}

std::span<float> row_of(const at::Tensor& table, std::int64_t row) {
  const auto dim = static_cast<std::size_t>(table.size(1));
  return {table.mutable_data_ptr<float>() + row * table.size(1), dim};
}

WordVectors read_word2vec_text(Reader& reader) {
  // A space and a digit.
  const Header header = read_header(reader, /*min_number_bytes=*/2);
  WordVectors vectors{{}, at::empty({header.num_words, header.dim}, at::kFloat)};
  for (std::int64_t row = 0; row < header.num_words; ++row) {
    if (reader.is_at_end()) {
      reader.fail("the file ends after " + std::to_string(row) + " of " +
                  std::to_string(header.num_words) + " words");
    }
    const std::string_view word = parse_row(reader, reader.line(), row_of(vectors.table, row));
    if (word.find(' ') != std::string_view::npos) {
      reader.fail("a line must be a word and " + std::to_string(header.dim) +
                  " numbers, got more: \"" + std::string(word.substr(0, 60)) + "\"");
    }
    vectors.words.emplace_back(word);
  }
  return vectors;
}

WordVectors read_word2vec_binary(Reader& reader) {
  const Header header = read_header(reader, /*min_number_bytes=*/sizeof(float));
  reader.leave_lines();
  WordVectors vectors{{}, at::empty({header.num_words, header.dim}, at::kFloat)};
  for (std::int64_t row = 0; row < header.num_words; ++row) {
    vectors.words.push_back(reader.word());
    reader.floats(row_of(vectors.table, row));
  }
  return vectors;
}

// The first line of a GloVe file tells dim.
std::size_t first_line_dim(const Reader& reader, std::string_view line) {
  const auto dim = static_cast<std::size_t>(std::ranges::count(line, ' '));
  std::int64_t number = 0;
  if (dim == 1 && parse(line.substr(0, line.find(' ')), number) &&
      parse(line.substr(line.find(' ') + 1), number)) {
    reader.fail("\"" + std::string(line) + "\" begins a file in word2vec's text format");
  }
  if (dim == 0) {
    reader.fail("a line must be a word and its numbers, got \"" + std::string(line) + "\"");
  }
  return dim;
}

WordVectors read_glove_text(Reader& reader) {
  std::vector<std::string> words;
  auto numbers = std::make_shared<std::vector<float>>();
  std::size_t dim = 0;
  while (!reader.is_at_end()) {
    const std::string_view line = reader.line();
    if (dim == 0) {
      dim = first_line_dim(reader, line);
    }
    numbers->resize(numbers->size() + dim);
    words.emplace_back(parse_row(reader, line, std::span(*numbers).last(dim)));
  }
  if (words.empty()) {
    reader.fail("the file is empty");
  }
  // The tensor keeps the vector alive: such a file fills a good part of a machine's memory.
  const auto num_words = static_cast<std::int64_t>(words.size());
  const at::Tensor table = at::from_blob(
      numbers->data(), {num_words, static_cast<std::int64_t>(dim)}, [numbers](void*) {},
      at::kFloat);
  return {std::move(words), table};
}

void check_writable(const WordVectors& vectors) {
  const at::Tensor& table = vectors.table;
  if (!table.defined() || table.dim() != 2 || table.numel() == 0 ||
      table.size(0) != static_cast<std::int64_t>(vectors.words.size())) {
    throw std::invalid_argument(
        "write_vectors: table must be [" + std::to_string(vectors.words.size()) +
        ", dim] and not empty, got " +
        (table.defined() ? std::to_string(table.dim()) + " dimensions and " +
                               std::to_string(table.numel()) + " elements"
                         : std::string("no tensor")));
  }
  for (const std::string& word : vectors.words) {
    if (word.empty() || word.find_first_of(kWhiteSpace) != std::string::npos) {
      throw std::invalid_argument("write_vectors: words must have no white space, got \"" + word +
                                  "\"");
    }
  }
}

}  // namespace

WordVectors read_vectors(const std::filesystem::path& path, VectorFormat format) {
  Reader reader(path);
  WordVectors vectors;
  switch (format) {
    case VectorFormat::kWord2vecText:
      vectors = read_word2vec_text(reader);
      break;
    case VectorFormat::kWord2vecBinary:
      vectors = read_word2vec_binary(reader);
      break;
    case VectorFormat::kGloveText:
      vectors = read_glove_text(reader);
      break;
  }
  reader.expect_end();
  return vectors;
}

void write_vectors(const std::filesystem::path& path, const WordVectors& vectors,
                   VectorFormat format) {
  check_writable(vectors);
  const at::Tensor table = vectors.table.detach().to(at::kCPU, at::kFloat).contiguous();
  std::ofstream file(path, std::ios::binary);
  if (format != VectorFormat::kGloveText) {
    file << table.size(0) << ' ' << table.size(1) << '\n';
  }
  std::string numbers;
  for (std::size_t i = 0; i < vectors.words.size(); ++i) {
    const std::span<const float> row = row_of(table, static_cast<std::int64_t>(i));
    numbers.clear();
    if (format == VectorFormat::kWord2vecBinary) {
      numbers.append(" ").append(reinterpret_cast<const char*>(row.data()), row.size_bytes());
    } else {
      for (const float number : row) {
        char text[32];
        const auto end = std::to_chars(std::begin(text), std::end(text), number).ptr;
        numbers.append(" ").append(text, end);
      }
    }
    file << vectors.words[i] << numbers << '\n';
  }
  if (!file.flush()) {
    throw std::runtime_error("cannot write " + path.string());
  }
}

}  // namespace rowlane::examples
