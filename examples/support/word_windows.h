// What word2vec draws from a text: words, their windows and negatives.
#pragma once

#include <ATen/core/Tensor.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdint>
#include <random>
#include <vector>

#include "corpus.h"

namespace rowlane::examples {

struct WindowOptions {
  std::int64_t window = 5;       // words to each side, at most
  double sample = 1e-3;          // more frequent words than this share are left out at times
  std::int64_t block_words = 0;  // middles of windows per block; more than 0 for a sampler
  std::int64_t block_negatives = 0;
};

// Adds --window, --sample, --block-words and --block-negatives to `app`.
void add_window_options(CLI::App& app, WindowOptions& options);

// Some words that follow each other in the text, each the middle of a window. I words are in the
// windows, C in their middles.
struct WindowBlock {
  // The words [begin, end) of the block, without the middle.
  struct Window {
    std::int64_t begin;
    std::int64_t end;
  };

  at::Tensor in_words;          // [I] int64
  at::Tensor out_words;         // [C + block_negatives] int64: the middles, then the negatives
  std::vector<Window> windows;  // [C]
  std::int64_t first_middle;    // middle c is word first_middle + c of the block

  std::int64_t num_words() const { return in_words.size(0); }
  std::int64_t num_middles() const { return static_cast<std::int64_t>(windows.size()); }
};

// [I, C] float: 1 where a word is in the window of a middle.
at::Tensor window_pairs(const WindowBlock& block);
// rows [I, dim] float -> [C, dim]: the means of the windows' rows; 0 of a window without a word.
at::Tensor window_means(const WindowBlock& block, const at::Tensor& rows);
// gradients [C, dim] float -> [I, dim]: to each word the sum of those of the windows that it is in.
at::Tensor add_to_windows(const WindowBlock& block, const at::Tensor& gradients);

// Draws as the original word2vec does (Mikolov et al., "Distributed Representations of Words and
// Phrases and their Compositionality"): a word of the share f is kept with the probability
// sqrt(sample / f) + sample / f; windows reach over the words that are kept, as far as a number
// drawn from 1 to `window`, and end with the line; negatives are drawn by count^(3/4). Other than
// there, the negatives are the block's, and may be a middle, too.
class WindowSampler {
 public:
  WindowSampler(const Corpus& corpus, const WindowOptions& options);

  // Begins with the lines [begin, end).
  void start(std::int64_t begin, std::int64_t end, std::uint64_t seed);
  // Fills `block`, whose in_words live until the next call; false when all lines were read.
  bool next(WindowBlock& block);
  // Of all that was read since start(), with those that were left out.
  std::int64_t num_tokens_read() const { return token_ - first_token_; }

 private:
  std::int64_t num_words() const { return static_cast<std::int64_t>(words_.size()); }
  void read_words();

  const Corpus& corpus_;
  WindowOptions options_;
  std::vector<double> keep_;         // probability of each word
  std::vector<std::int32_t> noise_;  // words, as often as they are to be drawn
  std::mt19937_64 random_;
  std::int64_t line_ = 0;  // the next to read
  std::int64_t end_line_ = 0;
  std::int64_t first_token_ = 0;
  std::int64_t token_ = 0;
  // Words that were kept, and their lines; the block's first middle is at `begin_`.
  std::vector<std::int64_t> words_;
  std::vector<std::int64_t> lines_;
  std::int64_t begin_ = 0;
};

}  // namespace rowlane::examples
