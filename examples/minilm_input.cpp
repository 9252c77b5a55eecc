// The input layer of a transformer: MiniLM's, from its published file, as Python computes it.
//
// A sentence is cut into pieces of words, each of which has a row in the table of tokens. The layer
// adds the row of the piece's position and that of its segment (first or second sentence; here all
// is first), and normalises the sum. What comes next in the model is attention, on these vectors.
#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "rowlane/nn/embedding.h"
#include "support/program.h"
#include "support/safetensors.h"
#include "support/text_file.h"
#include "support/wordpiece.h"

namespace rowlane::examples {
namespace {

using rowlane::nn::Embedding;

constexpr double kTolerance = 1e-5;

// A token's row, its position's and its segment's, added up and normalised.
class InputLayer : public torch::nn::Module {
 public:
  explicit InputLayer(const SafetensorsFile& model) {
    const auto table = [&model](const char* name) {
      return Embedding::from_pretrained(model.read(std::string("embeddings.") + name));
    };
    tokens_ = register_module("tokens", table("word_embeddings.weight"));
    positions_ = register_module("positions", table("position_embeddings.weight"));
    segments_ = register_module("segments", table("token_type_embeddings.weight"));
    norm_ = register_module(
        "norm",
        torch::nn::LayerNorm(torch::nn::LayerNormOptions({tokens_->weight.size(1)}).eps(1e-12)));
    norm_->weight.set_data(model.read("embeddings.LayerNorm.weight"));
    norm_->bias.set_data(model.read("embeddings.LayerNorm.bias"));
  }

  // ids [batch, length] -> [batch, length, dim]; all of one segment.
  at::Tensor forward(const at::Tensor& ids) {
    const at::Tensor position = torch::arange(ids.size(1), at::kLong);
    return norm_(tokens_(ids) + segments_(torch::zeros_like(ids)) + positions_(position));
  }

 private:
  Embedding tokens_{nullptr}, positions_{nullptr}, segments_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
};

// Compares with what scripts/data/minilm.py wrote; returns whether all is the same.
bool compare_with_python(const std::filesystem::path& directory, const WordPiece& tokenizer,
                         InputLayer& layer) {
  const std::vector<std::string> sentences = read_lines(directory / "sentences.txt");
  const SafetensorsFile expected(directory / "expected.safetensors");
  const at::Tensor expected_ids = expected.read("ids");
  const bool is_cut_alike = tokenizer.encode(sentences).equal(expected_ids);
  std::printf("%zu sentences are cut into the same pieces as in Python: %s\n", sentences.size(),
              is_cut_alike ? "ok" : "FAIL");

  const at::Tensor expected_rows = expected.read("embeddings");
  const at::Tensor rows = layer.forward(expected_ids.narrow(0, 0, expected_rows.size(0)));
  const auto difference = (rows - expected_rows).abs().max().item<double>();
  const bool is_same = difference <= kTolerance;  // false for not-a-number
  std::cout << rows.sizes() << " elements of the layer differ from Python's by at most "
            << difference << ": " << (is_same ? "ok" : "FAIL") << '\n';
  return is_cut_alike && is_same;
}

void print_sentence(const std::string& sentence, const WordPiece& tokenizer, InputLayer& layer) {
  const at::Tensor ids = tokenizer.encode({&sentence, 1});  // [1, length]
  const at::Tensor rows = layer.forward(ids)[0];            // [length, dim]
  std::printf("\n%s\n", sentence.c_str());
  for (std::int64_t i = 0; i < ids.size(1); ++i) {
    const auto id = ids[0][i].item<std::int64_t>();
    std::printf("%12s  row %5" PRId64 "  [%.3f, %.3f, …]\n", tokenizer.piece(id).c_str(), id,
                rows[i][0].item<double>(), rows[i][1].item<double>());
  }
}

bool run(const std::filesystem::path& data_dir, const std::vector<std::string>& sentences) {
  const torch::NoGradGuard no_grad;
  require_data("MiniLM", data_dir,
               {"model.safetensors", "vocab.txt", "sentences.txt", "expected.safetensors"});
  const WordPiece tokenizer(data_dir / "vocab.txt");
  InputLayer layer(SafetensorsFile(data_dir / "model.safetensors"));
  const bool is_same = compare_with_python(data_dir, tokenizer, layer);
  for (const std::string& sentence : sentences) {
    print_sentence(sentence, tokenizer, layer);
  }
  return is_same;
}

}  // namespace
}  // namespace rowlane::examples

int main(int argc, char** argv) {
  return rowlane::examples::run_example("minilm_input", [&] {
    std::filesystem::path data_dir = ROWLANE_EXAMPLE_DATA_DIR "/minilm";
    std::vector<std::string> sentences = {"Embeddings are looked up, not multiplied."};
    CLI::App app("Computes the input layer of MiniLM and compares it with Python's.");
    app.option_defaults()->always_capture_default();
    app.add_option("--data-dir", data_dir, "folder of the data that 'make data' gets");
    app.add_option("--sentence", sentences, "show the pieces of this one");
    CLI11_PARSE(app, argc, argv);
    return rowlane::examples::run(data_dir, sentences) ? 0 : 1;
  });
}
