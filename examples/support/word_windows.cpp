#include "word_windows.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rowlane::examples {
namespace {

// Of the list that negatives are drawn from: the rarest of 100,000 words are in it.
constexpr double kNoiseSize = 1 << 21;
// Words are read in portions of so many blocks.
constexpr std::int64_t kBlocksRead = 64;

// Calls f(middle, word) for each word of each window; both are numbers in the block.
template <typename F>
void for_each_pair(const WindowBlock& block, F&& f) {
  for (std::int64_t c = 0; c < block.num_middles(); ++c) {
    for (std::int64_t i = block.windows[c].begin; i < block.windows[c].end; ++i) {
      if (i != block.first_middle + c) {
        f(c, i);
      }
    }
  }
}

void add_row(const float* __restrict__ row, std::int64_t dim, float* __restrict__ sum) {
  for (std::int64_t d = 0; d < dim; ++d) {
    sum[d] += row[d];
  }
}

}  // namespace

void add_window_options(CLI::App& app, WindowOptions& options) {
  app.add_option("--window", options.window, "words to each side, at most")
      ->check(CLI::PositiveNumber);
  app.add_option("--sample", options.sample, "more frequent words than this are left out at times")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--block-words", options.block_words, "windows at a time; 0: chosen by the model")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--block-negatives", options.block_negatives, "drawn for each block; 0: as above")
      ->check(CLI::NonNegativeNumber);
}

at::Tensor window_pairs(const WindowBlock& block) {
  at::Tensor pairs = at::zeros({block.num_words(), block.num_middles()}, at::kFloat);
  auto* const data = pairs.mutable_data_ptr<float>();
  for_each_pair(block,
                [&](std::int64_t c, std::int64_t i) { data[i * block.num_middles() + c] = 1; });
  return pairs;
}

at::Tensor window_means(const WindowBlock& block, const at::Tensor& rows) {
  const std::int64_t dim = rows.size(1);
  at::Tensor means = at::zeros({block.num_middles(), dim}, at::kFloat);
  const auto* const row = rows.const_data_ptr<float>();
  auto* const mean = means.mutable_data_ptr<float>();
  for_each_pair(
      block, [&](std::int64_t c, std::int64_t i) { add_row(row + i * dim, dim, mean + c * dim); });
  for (std::int64_t c = 0; c < block.num_middles(); ++c) {
    const std::int64_t size = block.windows[c].end - block.windows[c].begin - 1;
    std::transform(mean + c * dim, mean + (c + 1) * dim, mean + c * dim,
                   [scale = 1 / static_cast<float>(std::max<std::int64_t>(size, 1))](float sum) {
                     return sum * scale;
                   });
  }
  return means;
}

at::Tensor add_to_windows(const WindowBlock& block, const at::Tensor& gradients) {
  const std::int64_t dim = gradients.size(1);
  at::Tensor sums = at::zeros({block.num_words(), dim}, at::kFloat);
  const auto* const gradient = gradients.const_data_ptr<float>();
  auto* const sum = sums.mutable_data_ptr<float>();
  for_each_pair(block, [&](std::int64_t c, std::int64_t i) {
    add_row(gradient + c * dim, dim, sum + i * dim);
  });
  return sums;
}

WindowSampler::WindowSampler(const Corpus& corpus, const WindowOptions& options)
    : corpus_(corpus), options_(options) {
  std::vector<double> sums;
  for (const std::int64_t count : corpus.counts) {
    const double share = static_cast<double>(count) / static_cast<double>(corpus.tokens.size());
    const double ratio = options.sample / share;
    keep_.push_back(options.sample > 0 ? std::sqrt(ratio) + ratio : 1);
    sums.push_back((sums.empty() ? 0 : sums.back()) + std::pow(static_cast<double>(count), 0.75));
  }
  for (std::size_t word = 0; word < sums.size(); ++word) {
    const double end = sums[word] / sums.back() * kNoiseSize;
    noise_.resize(static_cast<std::size_t>(std::lround(end)), static_cast<std::int32_t>(word));
  }
}

void WindowSampler::start(std::int64_t begin, std::int64_t end, std::uint64_t seed) {
  random_.seed(seed);
  line_ = begin;
  end_line_ = end;
  first_token_ = token_ = begin > 0 ? corpus_.line_ends[begin - 1] : 0;
  words_.clear();
  lines_.clear();
  begin_ = 0;
}

// Keeps what the next windows reach back to, and reads on.
void WindowSampler::read_words() {
  const std::int64_t num_dropped = std::max<std::int64_t>(begin_ - options_.window, 0);
  words_.erase(words_.begin(), words_.begin() + num_dropped);
  lines_.erase(lines_.begin(), lines_.begin() + num_dropped);
  begin_ -= num_dropped;
  const std::int64_t wanted = begin_ + kBlocksRead * options_.block_words;
  for (; line_ < end_line_ && num_words() < wanted; ++line_) {
    for (; token_ < corpus_.line_ends[line_]; ++token_) {
      const std::int64_t word = corpus_.tokens[token_];
      const double uniform = static_cast<double>(random_() >> 11) * 0x1p-53;
      if (uniform < keep_[word]) {
        words_.push_back(word);
        lines_.push_back(line_);
      }
    }
  }
}

bool WindowSampler::next(WindowBlock& block) {
  if (begin_ + options_.block_words + options_.window > num_words() && line_ < end_line_) {
    read_words();
  }
  const std::int64_t end = std::min(begin_ + options_.block_words, num_words());
  if (begin_ == end) {
    return false;
  }
  const std::int64_t num_middles = end - begin_;
  const std::int64_t first = std::max<std::int64_t>(begin_ - options_.window, 0);
  const std::int64_t last = std::min(end + options_.window, num_words());

  block.in_words = at::from_blob(words_.data() + first, {last - first}, at::kLong);
  block.out_words = at::empty({num_middles + options_.block_negatives}, at::kLong);
  auto* const out_words = block.out_words.mutable_data_ptr<std::int64_t>();
  std::copy(words_.begin() + begin_, words_.begin() + end, out_words);
  std::generate(out_words + num_middles, out_words + block.out_words.size(0),
                [&] { return noise_[random_() % noise_.size()]; });

  block.first_middle = begin_ - first;
  block.windows.clear();
  for (std::int64_t middle = begin_; middle < end; ++middle) {
    const std::int64_t reach =
        1 + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(options_.window));
    // What is kept of a line lies together.
    std::int64_t window_begin = middle;
    while (window_begin > std::max(middle - reach, first) &&
           lines_[window_begin - 1] == lines_[middle]) {
      --window_begin;
    }
    std::int64_t window_end = middle + 1;
    while (window_end < std::min(middle + reach + 1, last) &&
           lines_[window_end] == lines_[middle]) {
      ++window_end;
    }
    block.windows.push_back({window_begin - first, window_end - first});
  }
  begin_ = end;
  return true;
}

}  // namespace rowlane::examples
