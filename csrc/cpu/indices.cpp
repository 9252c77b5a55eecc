#include "csrc/cpu/indices.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <sstream>
#include <string>

namespace rowlane::cpu {
namespace {

// Indices that are worth a task of their own.
constexpr std::int64_t kGrain = 64 << 10;

// "indices[1][3]" for a flat position.
std::string coordinates(const at::Tensor& indices, std::int64_t position) {
  std::string text;
  for (std::int64_t d = indices.dim() - 1; d >= 0; --d) {
    const std::string coordinate = std::to_string(position % indices.size(d));
    text.insert(0, "[" + coordinate + "]");
    position /= indices.size(d);
  }
  return "indices" + text;
}

}  // namespace

template <typename IndexT>
void check_indices(std::string_view op, const at::Tensor& indices, std::int64_t num_rows) {
  const auto* const data = indices.const_data_ptr<IndexT>();
  const std::int64_t num_indices = indices.numel();
  const auto is_bad = [num_rows](IndexT index) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(index)) >=
           static_cast<std::uint64_t>(num_rows);
  };
  std::atomic<std::int64_t> first_bad{num_indices};
  at::parallel_for(0, num_indices, kGrain, [&](std::int64_t begin, std::int64_t end) {
    bool any_bad = false;  // no early exit, so that the loop becomes SIMD
    for (std::int64_t i = begin; i < end; ++i) {
      any_bad |= is_bad(data[i]);
    }
    if (any_bad) {
      const std::int64_t position = std::find_if(data + begin, data + end, is_bad) - data;
      std::int64_t known = first_bad.load();
      while (position < known && !first_bad.compare_exchange_weak(known, position)) {
      }
    }
  });
  const std::int64_t position = first_bad.load();
  TORCH_CHECK_INDEX(position == num_indices, op, ": index ", data[position], " at position ",
                    position, " (", coordinates(indices, position),
                    ") is out of range: the table has ", num_rows, " rows");
}

template void check_indices<std::int32_t>(std::string_view, const at::Tensor&, std::int64_t);
template void check_indices<std::int64_t>(std::string_view, const at::Tensor&, std::int64_t);

void check_algorithm_on_cpu(std::string_view op, std::string_view algorithm) {
  TORCH_CHECK_VALUE(algorithm == "auto" || algorithm == "sorted", op, ": algorithm '", algorithm,
                    "' exists only on a GPU; use 'auto' or 'sorted'");
}

}  // namespace rowlane::cpu
