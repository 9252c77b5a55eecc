#include "vectors.h"

#include <ATen/ops/from_blob.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>

namespace rowlane::examples {
namespace {

void check_table(const WordVectors& vectors) {
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
}

}  // namespace

WordVectors read_vectors(const std::filesystem::path& path, VectorFormat format) {
  // The tensor keeps the data alive: such a file fills a good part of a machine's memory.
  auto data = std::make_shared<VectorData>(read_vector_file(path, format));
  std::vector<std::string> words = std::move(data->words);
  const auto num_words = static_cast<std::int64_t>(words.size());
  const at::Tensor table = at::from_blob(
      data->numbers.data(), {num_words, data->dim}, [data](void*) {}, at::kFloat);
  return {std::move(words), table};
}

void write_vectors(const std::filesystem::path& path, const WordVectors& vectors,
                   VectorFormat format) {
  check_table(vectors);
  const at::Tensor table = vectors.table.detach().to(at::kCPU, at::kFloat).contiguous();
  write_vector_file(path, vectors.words,
                    {table.const_data_ptr<float>(), static_cast<std::size_t>(table.numel())},
                    format);
}

}  // namespace rowlane::examples
