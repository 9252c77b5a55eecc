#include "corpus.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "text_file.h"

namespace rowlane::examples {
namespace {

// Calls on_word(word) for each word and on_line_end() at the end of each line.
template <typename OnWord, typename OnLineEnd>
void for_each_word(std::string_view text, OnWord&& on_word, OnLineEnd&& on_line_end) {
  while (!text.empty()) {
    for (const std::string_view word : split_at_white_space(take_line(text))) {
      on_word(word);
    }
    on_line_end();
  }
}

}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> words) : words_(std::move(words)) {
  numbers_.reserve(words_.size());
  for (std::size_t i = 0; i < words_.size(); ++i) {
    numbers_.emplace(words_[i], static_cast<std::int64_t>(i));
  }
}

std::int64_t Vocabulary::find(std::string_view word) const {
  const auto found = numbers_.find(word);
  return found == numbers_.end() ? -1 : found->second;
}

Corpus read_corpus(const std::filesystem::path& path, const CorpusOptions& options) {
  const std::string text = read_text(path);
  std::unordered_map<std::string_view, std::int64_t> counts;
  Corpus corpus;
  for_each_word(
      text,
      [&](std::string_view word) {
        ++counts[word];
        ++corpus.num_words;
      },
      [] {});

  std::vector<std::pair<std::string_view, std::int64_t>> frequent;
  std::copy_if(counts.begin(), counts.end(), std::back_inserter(frequent),
               [&](const auto& entry) { return entry.second >= options.min_count; });
  std::sort(frequent.begin(), frequent.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  frequent.resize(std::min(frequent.size(), static_cast<std::size_t>(options.max_words)));
  if (frequent.empty()) {
    throw std::runtime_error(path.string() + ": no word occurs " +
                             std::to_string(options.min_count) + " times");
  }

  std::vector<std::string> words;
  for (const auto& [word, count] : frequent) {
    words.emplace_back(word);
    corpus.counts.push_back(count);
  }
  if (!options.unknown.empty()) {
    words.push_back(options.unknown);
    corpus.counts.push_back(0);
  }
  corpus.vocabulary = Vocabulary(std::move(words));
  corpus.tokens.reserve(static_cast<std::size_t>(corpus.num_words));
  const std::int64_t unknown = options.unknown.empty() ? -1 : corpus.vocabulary.size() - 1;
  for_each_word(
      text,
      [&](std::string_view word) {
        const std::int64_t found = corpus.vocabulary.find(word);
        const std::int64_t number = found >= 0 ? found : unknown;
        if (number >= 0) {
          corpus.tokens.push_back(static_cast<std::int32_t>(number));
        }
        if (found < 0 && unknown >= 0) {
          ++corpus.counts[unknown];
        }
      },
      [&] { corpus.line_ends.push_back(static_cast<std::int64_t>(corpus.tokens.size())); });
  return corpus;
}

}  // namespace rowlane::examples
