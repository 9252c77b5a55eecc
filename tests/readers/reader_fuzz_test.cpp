// Files that were changed at random are read as what they hold, or refused with a sentence.
//
// Checkpoints aren't here: torch reads their archives, and what we add is checked by the tests of
// checkpoint.h.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "examples/support/corpus.h"
#include "examples/support/csv.h"
#include "examples/support/ratings.h"
#include "examples/support/safetensors_header.h"
#include "examples/support/text_file.h"
#include "examples/support/vector_file.h"
#include "examples/support/word_questions.h"
#include "heap.h"
#include "tests/examples/temporary_directory.h"

namespace rowlane::testing {
namespace {

using namespace rowlane::examples;  // NOLINT(google-build-using-namespace): all of it is tested
using Files = std::vector<std::string>;

constexpr int kNumMutations = 10'000;
constexpr std::size_t kMostBytes = 4096;          // of a mutated file
constexpr std::size_t kSmallConstant = 32 << 10;  // a stream's buffer, errors, the first of a table

// Whole numbers that some type doesn't hold, and what isn't a whole number.
const Files kNumbers = {"0",
                        "-1",
                        "1",
                        "255",
                        "65536",
                        "2147483648",
                        "4294967297",
                        "999999999999",
                        "9223372036854775807",
                        "18446744073709551615",
                        "18446744073709551616",
                        "-9223372036854775808",
                        "1e999",
                        "2.5",
                        "nan",
                        "-inf",
                        "0x10",
                        ""};

// The same mutations in every run.
class Mutator {
 public:
  explicit Mutator(Files files) : files_(std::move(files)) {}

  std::string next() {
    std::string file = any(files_);
    for (std::size_t i = 0, count = 1 + below(3); i < count; ++i) {
      mutate(file);
    }
    file.resize(std::min(file.size(), kMostBytes));
    return file;
  }

 private:
  std::size_t below(std::size_t end) { return end == 0 ? 0 : random_() % end; }
  const std::string& any(const Files& files) { return files[below(files.size())]; }

  void mutate(std::string& file) {
    const std::size_t place = below(file.size() + 1);
    const std::size_t length = below(std::min<std::size_t>(file.size() - place, 64) + 1);
    switch (below(8)) {
      case 0:
        if (place < file.size()) {
          file[place] = static_cast<char>(file[place] ^ (1 << below(8)));
        }
        break;
      case 1:
        file.resize(place);
        break;
      case 2:
        for (std::size_t i = 0, count = 1 + below(8); i < count; ++i) {
          const std::string_view kLikely = " \n\r\t,\"'{}[]:#-.0";
          file.insert(
              file.begin() + static_cast<std::ptrdiff_t>(place),
              below(2) == 0 ? kLikely[below(kLikely.size())] : static_cast<char>(below(256)));
        }
        break;
      case 3:
        file.insert(below(file.size() + 1), file.substr(place, length));
        break;
      case 4:
        file.erase(place, length);
        break;
      case 5: {  // a number
        const std::size_t begin = file.find_first_of("0123456789", place);
        if (begin != std::string::npos) {
          const std::size_t end = file.find_first_not_of("0123456789.", begin);
          file.replace(begin, std::min(end, file.size()) - begin, any(kNumbers));
        }
        break;
      }
      case 6: {  // a number of eight bytes
        const std::uint64_t number = std::uint64_t{1} << below(64);
        const std::size_t at = below(2) == 0 ? 0 : place;
        if (at + 8 <= file.size()) {
          std::memcpy(file.data() + at, &number, 8);
        }
        break;
      }
      default: {  // a splice
        const std::string& other = any(files_);
        file = file.substr(0, place) + other.substr(below(other.size() + 1));
      }
    }
  }

  Files files_;
  std::mt19937_64 random_{1};
};

// A file in memory: a disk would take most of the time.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("reader_fuzz_test", 0)) {}
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }
  void write(const std::string& content) const {
    const auto size = static_cast<off_t>(content.size());
    if (ftruncate(descriptor_, size) != 0 ||
        pwrite(descriptor_, content.data(), content.size(), 0) != size) {
      throw std::runtime_error("cannot write a file in memory");
    }
  }

 private:
  int descriptor_;
};

void expect(bool is_true, const char* what) {
  if (!is_true) {
    throw std::logic_error(what);
  }
}

void expect_within(std::string_view file, std::string_view part) {
  expect(file.find(part) != std::string_view::npos, "what was read isn't in the file");
}

// The texts between characters that no number has.
std::vector<std::string> tokens(std::string_view file) {
  std::vector<std::string> found(1);
  for (const char c : file) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '+') {
      found.back() += c;
    } else if (!found.back().empty()) {
      found.emplace_back();
    }
  }
  return found;
}

// Reads mutations of `files`; check(file, read) throws std::logic_error. `read(path)` is held to
// ten times the file's size. An error names the file, or `other`, which is read beside it.
template <typename Read, typename Check>
void fuzz(const Files& files, Read&& read, Check&& check,
          const std::filesystem::path& other = "no other") {
  const MemoryFile memory_file;
  const std::filesystem::path path = memory_file.path();
  Mutator mutator(files);
  int num_read = 0;
  for (int i = 0; i < kNumMutations; ++i) {
    const std::string file =
        i < static_cast<int>(files.size()) ? files[static_cast<std::size_t>(i)] : mutator.next();
    memory_file.write(file);
    const std::size_t most_bytes = 10 * file.size() + kSmallConstant;
    start_counting();
    try {
      const auto content = read(path);
      expect(peak_bytes() <= most_bytes, "too much memory");
      check(file, content);
      ++num_read;
    } catch (const std::runtime_error& error) {
      ASSERT_LE(peak_bytes(), most_bytes) << "mutation " << i << "\n" << file;
      const std::string_view sentence = error.what();
      ASSERT_TRUE(sentence.find(path.string()) != std::string_view::npos ||
                  sentence.find(other.string()) != std::string_view::npos)
          << "mutation " << i << ": " << sentence << "\n"
          << file;
      ASSERT_GE(i, static_cast<int>(files.size())) << error.what();
    } catch (const std::exception& error) {
      FAIL() << "mutation " << i << ": " << error.what() << "\n" << file;
    }
  }
  // The check has had work, and so has the refusal.
  EXPECT_GT(num_read, kNumMutations / 100);
  EXPECT_LT(num_read, kNumMutations);
}

// Files of ten lines, and what may be in any text.
Files with_ends(const std::string& text) {
  std::string returns;
  for (const char c : text) {
    returns += c == '\n' ? std::string("\r\n") : std::string(1, c);
  }
  return {text, returns, "\xEF\xBB\xBF" + text, text.substr(0, text.size() - 1)};
}

std::string vector_lines() {
  std::string lines;
  for (int i = 0; i < 20; ++i) {
    lines += "word" + std::to_string(i) + " " + std::to_string(i) + ".25 -0.5 1e-" +
             std::to_string(i) + "\n";
  }
  return lines;
}

std::string binary_vectors(bool has_line_feeds) {
  std::string file = "20 3\n";
  for (int i = 0; i < 20; ++i) {
    const float row[] = {static_cast<float>(i) + 0.25F, -0.5F, 1e10F};
    file += "word" + std::to_string(i) + " ";
    file.append(reinterpret_cast<const char*>(row), sizeof(row)).append(has_line_feeds ? "\n" : "");
  }
  return file;
}

void check_text_vectors(const std::string& file, const VectorData& data) {
  const auto dim = static_cast<std::size_t>(data.dim);
  expect(dim > 0 && data.numbers.size() == data.words.size() * dim, "the shape");
  // A line of the file for each row.
  std::string_view rest = file;
  std::vector<float> numbers;
  for (std::size_t row = 0; row < data.words.size(); ++row) {
    std::size_t at = 0;
    std::string_view line;
    do {
      expect(!rest.empty(), "more rows than lines");
      line = take_line(rest);
      at = line.find(data.words[row]);
      numbers.clear();
      if (at != std::string_view::npos) {
        for (const std::string_view token :
             split_at_white_space(line.substr(at + data.words[row].size()))) {
          numbers.push_back(std::strtof(std::string(token).c_str(), nullptr));
        }
      }
    } while (numbers.size() != dim);
    expect(std::equal(numbers.begin(), numbers.end(),
                      data.numbers.begin() + static_cast<std::ptrdiff_t>(row * dim),
                      [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }),
           "a number isn't that of its line");
  }
}

TEST(ReaderFuzz, Word2vecText) {
  Files files = with_ends("20 3\n" + vector_lines());
  fuzz(
      files, [](const auto& path) { return read_vector_file(path, VectorFormat::kWord2vecText); },
      check_text_vectors);
}

TEST(ReaderFuzz, GloveText) {
  fuzz(
      with_ends(vector_lines() + ". . . 1 2 3\n"),
      [](const auto& path) { return read_vector_file(path, VectorFormat::kGloveText); },
      check_text_vectors);
}

TEST(ReaderFuzz, Word2vecBinary) {
  fuzz(
      {binary_vectors(true), binary_vectors(false)},
      [](const auto& path) { return read_vector_file(path, VectorFormat::kWord2vecBinary); },
      [](const std::string& file, const VectorData& data) {
        const auto row_bytes = static_cast<std::size_t>(data.dim) * sizeof(float);
        expect(data.numbers.size() * sizeof(float) == data.words.size() * row_bytes, "the shape");
        const auto* bytes = reinterpret_cast<const char*>(data.numbers.data());
        for (const std::string& word : data.words) {
          expect_within(file, word + " " + std::string(bytes, row_bytes));
          bytes += row_bytes;
        }
      });
}

std::string safetensors_file(const std::string& header, std::size_t num_bytes) {
  const std::uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header +
         std::string(num_bytes, '\1');
}

TEST(ReaderFuzz, Safetensors) {
  const std::string some =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b":{"dtype":"I64","shape":[],"data_offsets":[24,32]},)"
      R"("c":{"dtype":"BF16","shape":[4,0],"data_offsets":[32,32]},)"
      R"("d":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[32,40]}})";
  fuzz({safetensors_file(some, 40),
        safetensors_file(R"({"t":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}    )", 16)},
       read_safetensors_header, [](const std::string& file, const auto& entries) {
         const std::vector<std::string> numbers = tokens(file);
         for (const auto& [name, entry] : entries) {
           expect(entry.offset >= 8 && entry.num_bytes >= 0 &&
                      static_cast<std::size_t>(entry.offset + entry.num_bytes) <= file.size(),
                  "bytes beyond the file");
           double num_elements = 1;
           for (const std::int64_t size : entry.shape) {
             num_elements *= static_cast<double>(size);
             expect(std::ranges::find(numbers, std::to_string(size)) != numbers.end(),
                    "a size that the file doesn't hold");
           }
           for (const SafetensorsType& type : kSafetensorsTypes) {
             expect(
                 entry.dtype != type.name || num_elements * static_cast<double>(type.num_bytes) ==
                                                 static_cast<double>(entry.num_bytes),
                 "a shape that its bytes don't fill");
           }
         }
       });
}

// A field in quotes has each quote twice.
void expect_field(const std::string& file, const std::string& field) {
  std::string quoted;
  for (const char c : field) {
    quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  }
  expect(file.find(field) != std::string::npos || file.find(quoted) != std::string::npos,
         "a field that the file doesn't hold");
}

TEST(ReaderFuzz, Csv) {
  std::string text = "rating,text\n";
  for (int i = 0; i < 10; ++i) {
    text += std::to_string(i) + ".5,\"The film, \"\"" + std::to_string(i) + "\"\", is good\"\n";
    text += std::to_string(i) + ",plain\n";
  }
  fuzz(
      with_ends(text),
      [](const auto& path) {
        return read_csv(path, {"rating", "text"});
      },
      [](const std::string& file, const std::vector<CsvRow>& rows) {
        expect(rows.size() <= static_cast<std::size_t>(std::ranges::count(file, '\n')), "rows");
        for (const CsvRow& row : rows) {
          expect(row.size() == 2, "fields");
          expect_field(file, row[0]);
          expect_field(file, row[1]);
        }
      });
}

TEST(ReaderFuzz, Ratings) {
  const TemporaryDirectory directory;
  std::string items = "movie_id,title\n", text = "user_id,movie_id,rating,timestamp\n";
  for (int i = 1; i < 20; ++i) {
    items += std::to_string(i) + ",\"Film, " + std::to_string(i) + "\"\n";
    text += std::to_string(100 + i) + "," + std::to_string(i) + "," + std::to_string(i % 5) +
            ".5,881250949\n";
  }
  const std::filesystem::path items_path = directory.write("items.csv", items);
  const auto check = [](const std::string& file, const std::vector<Rating>& ratings) {
    // Ids without zeros before them.
    std::set<std::string> ids;
    std::set<float> stars;
    for (const std::string& token : tokens(file)) {
      ids.insert(token.substr(std::min(token.find_first_not_of('0'), token.size())));
      stars.insert(std::strtof(token.c_str(), nullptr));
    }
    for (const Rating& rating : ratings) {
      expect(rating.user_id > 0 && rating.movie_id > 0 && std::isfinite(rating.stars), "range");
      expect(ids.contains(std::to_string(rating.user_id)), "a user that the file doesn't hold");
      expect(ids.contains(std::to_string(rating.movie_id)), "a film that the file doesn't hold");
      expect(stars.contains(rating.stars), "a rating that the file doesn't hold");
    }
  };
  fuzz(
      with_ends(text), [&](const auto& path) { return read_ratings(path, items_path); }, check);
  // The other of the two files.
  const std::filesystem::path text_path = directory.write("ratings.csv", text);
  fuzz(
      with_ends(items), [&](const auto& path) { return read_ratings(text_path, path); },
      [&](const std::string& file, const std::vector<Rating>& ratings) {
        check(text, ratings);
        for (const Rating& rating : ratings) {
          expect_field(file, rating.title);
        }
      },
      text_path);
}

TEST(ReaderFuzz, Corpus) {
  std::string text;
  for (int i = 0; i < 20; ++i) {
    text += "a book about word" + std::to_string(i % 3) + " and a\tbook\n";
  }
  fuzz(
      with_ends(text),
      [](const auto& path) { return read_corpus(path, {.min_count = 5, .unknown = ""}); },
      [](const std::string& file, const Corpus& corpus) {
        const auto num_words = static_cast<std::size_t>(corpus.vocabulary.size());
        expect(corpus.counts.size() == num_words, "counts");
        for (const std::string& word : corpus.vocabulary.words()) {
          expect(!word.empty() && word.find_first_of(" \t\r\n\v\f") == std::string::npos, "a word");
          expect_within(file, word);
        }
        std::int64_t num_counted = 0;
        for (const std::int64_t count : corpus.counts) {
          expect(count >= 5, "a rare word");
          num_counted += count;
        }
        expect(num_counted == static_cast<std::int64_t>(corpus.tokens.size()), "tokens");
        expect(std::ranges::all_of(corpus.tokens,
                                   [&](std::int32_t token) {
                                     return token >= 0 &&
                                            static_cast<std::size_t>(token) < num_words;
                                   }),
               "a token without a word");
        expect(std::ranges::is_sorted(corpus.line_ends) &&
                   corpus.line_ends.back() == static_cast<std::int64_t>(corpus.tokens.size()),
               "lines");
      });
}

TEST(ReaderFuzz, JudgedPairs) {
  std::string text = "# the words, and how similar they are\n";
  for (int i = 0; i < 20; ++i) {
    text += "love\tword" + std::to_string(i) + "\t" + std::to_string(i) + ".77\n";
  }
  fuzz(with_ends(text), read_judged_pairs,
       [](std::string file, const std::vector<JudgedPair>& pairs) {
         std::ranges::transform(file, file.begin(),
                                [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
         std::set<double> numbers;
         for (const std::string_view token : split_at_white_space(file)) {
           numbers.insert(std::strtod(std::string(token).c_str(), nullptr));
         }
         for (const JudgedPair& pair : pairs) {
           expect_within(file, pair.words[0]);
           expect_within(file, pair.words[1]);
           expect(numbers.contains(pair.judgement), "a judgement that the file doesn't hold");
         }
       });
}

TEST(ReaderFuzz, Analogies) {
  std::string text = ": capitals\n";
  for (int i = 0; i < 20; ++i) {
    text += "athens greece town" + std::to_string(i) + " country" + std::to_string(i) + "\n";
  }
  fuzz(with_ends(text), read_analogies,
       [](std::string file, const std::vector<Analogy>& analogies) {
         std::ranges::transform(file, file.begin(),
                                [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
         for (const Analogy& analogy : analogies) {
           for (const std::string& word : analogy) {
             expect(!word.empty(), "no word");
             expect_within(file, word);
           }
         }
       });
}

// As read_lines() reads the vocabulary of word pieces and texts; it refuses nothing.
TEST(ReaderFuzz, Lines) {
  const MemoryFile memory_file;
  Mutator mutator(with_ends("[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\n"));
  for (int i = 0; i < kNumMutations; ++i) {
    const std::string file = mutator.next();
    memory_file.write(file);
    start_counting();
    const std::vector<std::string> lines = read_lines(memory_file.path());
    ASSERT_LE(peak_bytes(), 10 * file.size() + kSmallConstant);
    std::string again;
    for (const std::string& line : lines) {
      again += line + "\n";
    }
    // But for the mark and returns.
    std::string expected = file.starts_with("\xEF\xBB\xBF") ? file.substr(3) : file;
    for (std::size_t at = 0; (at = expected.find("\r\n", at)) != std::string::npos;) {
      expected.erase(at, 1);
      ++at;
    }
    if (expected.ends_with('\r')) {
      expected.back() = '\n';
    }
    ASSERT_EQ(again, expected.empty() || expected.ends_with('\n') ? expected : expected + "\n");
  }
}

// A file of which each line is as in the real ones.
template <typename Read>
void expect_little_memory(const std::string& begin, const std::string& line, Read&& read) {
  const MemoryFile memory_file;
  std::string file = begin;
  while (file.size() < 1'000'000) {
    file += line;
  }
  memory_file.write(file);
  start_counting();
  read(memory_file.path());
  EXPECT_LE(peak_bytes(), 10 * file.size());
}

TEST(ReaderMemory, IsAtMostTenTimesTheFile) {
  expect_little_memory("", "word 0.12345 -0.12345 0.12345 0.12345\n",
                       [](const auto& path) { read_vector_file(path, VectorFormat::kGloveText); });
  expect_little_memory("rating,text\n", "3.5,\"A gorgeously elaborate film, again\"\n",
                       [](const auto& path) {
                         read_csv(path, {"rating", "text"});
                       });
  expect_little_memory("", "a book about another book that is about books and words\n",
                       [](const auto& path) { read_corpus(path, {}); });
  expect_little_memory("", "computer\tkeyboard\t7.62\n", read_judged_pairs);
  expect_little_memory("", "athens greece bangkok thailand\n", read_analogies);
  const TemporaryDirectory directory;
  const auto items = directory.write("items.csv", "movie_id,title\n242,Kolya (1996)\n");
  expect_little_memory("user_id,movie_id,rating,timestamp\n", "196,242,3,881250949\n",
                       [&](const auto& path) { read_ratings(path, items); });
}

}  // namespace
}  // namespace rowlane::testing
