#include "vector_file.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>

#include "text_file.h"

namespace rowlane::examples {
namespace {

static_assert(std::endian::native == std::endian::little, "the binary format is little-endian");

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

  // The next line, without its end and white space before that, and without the file's byte order
  // mark. Errors point at its beginning until the next read.
  std::string_view line() {
    const bool is_first = offset_ == 0;
    begin_item();
    ++line_number_;
    std::getline(file_, text_);
    offset_ = std::min(offset_ + static_cast<std::int64_t>(text_.size()) + 1, size_);
    std::string_view line = text_;
    line = line.substr(0, line.find_last_not_of(kWhiteSpace) + 1);
    if (is_first && line.starts_with(kByteOrderMark)) {
      line.remove_prefix(kByteOrderMark.size());
    }
    return line;
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
    if (word.empty()) {
      fail("the word is missing");
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

struct Header {
  std::int64_t num_words;
  std::int64_t dim;
};

// `min_number_bytes`: the least that a number takes in this format. So that a wrong header doesn't
// ask for more memory than the file could fill.
Header read_header(Reader& reader, std::int64_t min_number_bytes) {
  const std::string_view line = reader.line();
  const std::size_t space = line.find(' ');
  const bool is_pair = space != std::string_view::npos;
  const auto num_words = parse_number<std::int64_t>(line.substr(0, space));
  const auto dim = parse_number<std::int64_t>(is_pair ? line.substr(space + 1) : "");
  if (!num_words || !dim || *num_words <= 0 || *dim <= 0) {
    reader.fail("the first line must be the number of words and dim, got \"" + beginning(line) +
                "\"");
  }
  const Header header{*num_words, *dim};
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
    const auto value = parse_number<float>(number);
    if (!value) {
      reader.fail("\"" + beginning(number) + "\" is not a float");
    }
    row[i] = *value;
    line = line.substr(0, space);
  }
  if (line.empty()) {
    reader.fail("the word is missing");
  }
  return line;
}

VectorData table_of(const Header& header) {
  const std::int64_t num_numbers = header.num_words * header.dim;
  return {{}, header.dim, std::vector<float>(static_cast<std::size_t>(num_numbers))};
}

std::span<float> row_of(VectorData& data, std::int64_t row) {
  return std::span(data.numbers)
      .subspan(static_cast<std::size_t>(row * data.dim), static_cast<std::size_t>(data.dim));
}

VectorData read_word2vec_text(Reader& reader) {
  // A space and a digit.
  const Header header = read_header(reader, /*min_number_bytes=*/2);
  VectorData data = table_of(header);
  for (std::int64_t row = 0; row < header.num_words; ++row) {
    if (reader.is_at_end()) {
      reader.fail("the file ends after " + std::to_string(row) + " of " +
                  std::to_string(header.num_words) + " words");
    }
    const std::string_view word = parse_row(reader, reader.line(), row_of(data, row));
    if (word.find(' ') != std::string_view::npos) {
      reader.fail("a line must be a word and " + std::to_string(header.dim) +
                  " numbers, got more: \"" + beginning(word) + "\"");
    }
    data.words.emplace_back(word);
  }
  return data;
}

VectorData read_word2vec_binary(Reader& reader) {
  const Header header = read_header(reader, /*min_number_bytes=*/sizeof(float));
  reader.leave_lines();
  VectorData data = table_of(header);
  for (std::int64_t row = 0; row < header.num_words; ++row) {
    data.words.push_back(reader.word());
    reader.floats(row_of(data, row));
  }
  return data;
}

// The first line of a GloVe file tells dim.
std::int64_t first_line_dim(const Reader& reader, std::string_view line) {
  const std::int64_t dim = std::ranges::count(line, ' ');
  const std::size_t space = line.find(' ');
  if (dim == 1 && parse_number<std::int64_t>(line.substr(0, space)) &&
      parse_number<std::int64_t>(line.substr(space + 1))) {
    reader.fail("\"" + beginning(line) + "\" begins a file in word2vec's text format");
  }
  if (dim == 0) {
    reader.fail("a line must be a word and its numbers, got \"" + beginning(line) + "\"");
  }
  return dim;
}

VectorData read_glove_text(Reader& reader) {
  VectorData data{};
  while (!reader.is_at_end()) {
    const std::string_view line = reader.line();
    if (line.empty()) {
      continue;
    }
    if (data.dim == 0) {
      data.dim = first_line_dim(reader, line);
    }
    const auto dim = static_cast<std::size_t>(data.dim);
    data.numbers.resize(data.numbers.size() + dim);
    data.words.emplace_back(parse_row(reader, line, std::span(data.numbers).last(dim)));
  }
  if (data.words.empty()) {
    reader.fail("the file is empty");
  }
  return data;
}

}  // namespace

VectorData read_vector_file(const std::filesystem::path& path, VectorFormat format) {
  Reader reader(path);
  VectorData data;
  switch (format) {
    case VectorFormat::kWord2vecText:
      data = read_word2vec_text(reader);
      break;
    case VectorFormat::kWord2vecBinary:
      data = read_word2vec_binary(reader);
      break;
    case VectorFormat::kGloveText:
      data = read_glove_text(reader);
      break;
  }
  reader.expect_end();
  return data;
}

void check_words(const std::vector<std::string>& words, VectorFormat format) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    // The first line tells dim, so that its word can't have spaces.
    const bool may_have_spaces = format == VectorFormat::kGloveText && i > 0;
    if (words[i].empty() ||
        words[i].find_first_of(kWhiteSpace.substr(may_have_spaces ? 1 : 0)) != std::string::npos) {
      throw std::invalid_argument("write_vectors: words must have no white space, got \"" +
                                  beginning(words[i]) + "\"");
    }
  }
}

void write_vector_file(const std::filesystem::path& path, const std::vector<std::string>& words,
                       std::span<const float> numbers, VectorFormat format) {
  check_words(words, format);
  const std::size_t dim = numbers.size() / words.size();
  std::ofstream file(path, std::ios::binary);
  if (format != VectorFormat::kGloveText) {
    file << words.size() << ' ' << dim << '\n';
  }
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::span<const float> row = numbers.subspan(i * dim, dim);
    text.clear();
    if (format == VectorFormat::kWord2vecBinary) {
      text.append(" ").append(reinterpret_cast<const char*>(row.data()), row.size_bytes());
    } else {
      for (const float number : row) {
        char digits[32];
        const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
        text.append(" ").append(digits, end);
      }
    }
    file << words[i] << text << '\n';
  }
  if (!file.flush()) {
    throw std::runtime_error("cannot write " + path.string());
  }
}

}  // namespace rowlane::examples
