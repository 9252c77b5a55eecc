#include "word_questions.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <stdexcept>

#include "text_file.h"

namespace rowlane::examples {
namespace {

// Calls add(fields) for each line without those that begin with `comment`, in lower case; it
// returns whether they are a question.
template <typename Add>
void read_questions(const std::filesystem::path& path, char comment, Add&& add) {
  std::string text = read_text(path);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = take_line(rest);
    if (!line.empty() && line.front() != comment && !add(split_at_white_space(line))) {
      throw std::runtime_error(path.string() + ": unexpected line: " + beginning(line));
    }
  }
}

}  // namespace

std::vector<JudgedPair> read_judged_pairs(const std::filesystem::path& path) {
  std::vector<JudgedPair> pairs;
  read_questions(path, '#', [&](const std::vector<std::string_view>& fields) {
    const auto judgement =
        fields.size() == 3 ? parse_number<double>(fields[2]) : std::optional<double>();
    const bool is_pair = judgement && std::isfinite(*judgement);
    if (is_pair) {
      pairs.push_back({{std::string(fields[0]), std::string(fields[1])}, *judgement});
    }
    return is_pair;
  });
  return pairs;
}

std::vector<Analogy> read_analogies(const std::filesystem::path& path) {
  std::vector<Analogy> analogies;
  read_questions(path, ':', [&](const std::vector<std::string_view>& fields) {
    const bool is_analogy = fields.size() == 4;
    if (is_analogy) {
      std::copy(fields.begin(), fields.end(), analogies.emplace_back().begin());
    }
    return is_analogy;
  });
  return analogies;
}

}  // namespace rowlane::examples
