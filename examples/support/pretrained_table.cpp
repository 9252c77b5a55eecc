#include "pretrained_table.h"

#include <torch/types.h>

#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "program.h"
#include "safetensors.h"
#include "wordpiece.h"

namespace rowlane::examples {
namespace {

// The rows that word vectors get in front.
constexpr std::int64_t kPadding = 0, kUnknown = 1;

}  // namespace

PretrainedTable add_special_rows(const WordVectors& vectors) {
  const at::Tensor& trained = vectors.table;
  const at::Tensor padding = torch::zeros({1, trained.size(1)});
  const at::Tensor unknown = trained.mean(0, /*keepdim=*/true);
  auto rows = std::make_shared<std::unordered_map<std::string, std::int64_t>>();
  std::vector<std::string> words = {"<pad>", "<unk>"};
  for (const std::string& word : vectors.words) {
    rows->emplace(word, static_cast<std::int64_t>(words.size()));
    words.push_back(word);
  }
  const auto rows_of = [rows](std::string_view text) {
    std::vector<std::int64_t> found;
    for (const std::string& word : split_words(text)) {
      const auto row = rows->find(word);
      found.push_back(row == rows->end() ? kUnknown : row->second);
    }
    return found;
  };
  return {torch::cat({padding, unknown, trained}), std::move(words), kPadding, kUnknown, rows_of};
}

PretrainedTable read_minilm_table(const std::filesystem::path& directory) {
  require_data("MiniLM", directory, {"vocab.txt", "model.safetensors"});
  const auto tokenizer = std::make_shared<const WordPiece>(directory / "vocab.txt");
  const SafetensorsFile model(directory / "model.safetensors");
  const at::Tensor table = model.read("embeddings.word_embeddings.weight");
  if (table.size(0) != tokenizer->size()) {
    throw std::runtime_error(directory.string() + ": the table has " +
                             std::to_string(table.size(0)) + " rows, the vocabulary " +
                             std::to_string(tokenizer->size()));
  }
  std::vector<std::string> words;
  for (std::int64_t row = 0; row < tokenizer->size(); ++row) {
    words.push_back(tokenizer->piece(row));
  }
  // Its [PAD] has a row like any other token, since the model masks it in later layers.
  table[tokenizer->padding_row()].zero_();
  return {table, std::move(words), tokenizer->padding_row(), tokenizer->unknown_row(),
          [tokenizer](std::string_view text) { return tokenizer->rows(text); }};
}

}  // namespace rowlane::examples
