// max_norm on the CPU: the rows that are looked up, each one once, in parallel.
#include <ATen/Parallel.h>
#include <ATen/ops/tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "csrc/cpu/elements.h"
#include "csrc/cpu/indices.h"
#include "csrc/ops/embedding.h"

namespace rowlane::cpu {
namespace {

// Elements that are worth a task of their own.
constexpr std::int64_t kGrainElems = 16 << 10;

// The distinct rows that are looked up, ascending; the indices have been checked. A bit per row of
// the table is at most a 16th of what the table takes.
template <typename IndexT>
std::vector<std::int64_t> distinct_rows(const IndexT* indices, std::int64_t num_indices,
                                        std::int64_t num_rows) {
  std::vector<std::uint64_t> is_named(static_cast<std::size_t>(num_rows / 64 + 1));
  for (std::int64_t i = 0; i < num_indices; ++i) {
    const auto row = static_cast<std::uint64_t>(indices[i]);
    is_named[row / 64] |= std::uint64_t{1} << (row % 64);
  }
  std::vector<std::int64_t> rows;
  for (std::size_t word = 0; word < is_named.size(); ++word) {
    for (std::uint64_t bits = is_named[word]; bits != 0; bits &= bits - 1) {
      rows.push_back(static_cast<std::int64_t>(word) * 64 + std::countr_zero(bits));
    }
  }
  return rows;
}

// In double, so that neither squares of large floats overflow nor 16-bit sums lose anything.
template <typename ElemT>
double norm_of(const ElemT* row, std::int64_t dim, double norm_type) {
  double sum = 0;
  if (norm_type == 2) {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t c = 0; c < dim; ++c) {
      const auto x = static_cast<double>(row[c]);
      sum += x * x;
    }
    return std::sqrt(sum);
  }
  if (norm_type == 1) {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t c = 0; c < dim; ++c) {
      sum += std::abs(static_cast<double>(row[c]));
    }
    return sum;
  }
  if (std::isinf(norm_type)) {
    for (std::int64_t c = 0; c < dim; ++c) {
      const double x = std::abs(static_cast<double>(row[c]));
      sum = x > sum || std::isnan(x) ? x : sum;
    }
    return sum;
  }
  for (std::int64_t c = 0; c < dim; ++c) {
    sum += std::pow(std::abs(static_cast<double>(row[c])), norm_type);
  }
  return std::pow(sum, 1 / norm_type);
}

template <typename ElemT>
void scale_rows(const at::Tensor& table, const std::vector<std::int64_t>& rows, double max_norm,
                double norm_type) {
  const std::int64_t dim = table.size(1);
  const std::int64_t stride = table.stride(0);
  auto* const data = table.mutable_data_ptr<ElemT>();
  const std::int64_t grain = std::max<std::int64_t>(1, kGrainElems / dim);
  at::parallel_for(0, static_cast<std::int64_t>(rows.size()), grain,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       ElemT* const row = data + rows[static_cast<std::size_t>(i)] * stride;
                       const double norm = norm_of(row, dim, norm_type);
                       if (!(norm > max_norm)) {
                         continue;
                       }
                       // As torch has it; a row of zeros is never divided by zero.
                       const auto scale = static_cast<Accum<ElemT>>(max_norm / (norm + 1e-7));
                       for (std::int64_t c = 0; c < dim; ++c) {
                         row[c] = static_cast<ElemT>(static_cast<Accum<ElemT>>(row[c]) * scale);
                       }
                     }
                   });
}

void embedding_renorm(const at::Tensor& weight, const at::Tensor& indices, double max_norm,
                      double norm_type) {
  constexpr const char* kOp = "rowlane::embedding_renorm_";
  ops::check_renorm(kOp, weight, indices, max_norm, norm_type);
  const at::Tensor index_list = indices.contiguous();
  std::vector<std::int64_t> rows;
  dispatch_index(index_list, [&]<typename IndexT>() {
    check_indices<IndexT>(kOp, index_list, weight.size(0));
    rows = distinct_rows(index_list.const_data_ptr<IndexT>(), index_list.numel(), weight.size(0));
  });
  if (rows.empty() || weight.size(1) == 0) {
    return;
  }
  const auto scale = [&](const at::Tensor& table) {
    dispatch_elem(table.scalar_type(),
                  [&]<typename ElemT>() { scale_rows<ElemT>(table, rows, max_norm, norm_type); });
  };
  if (weight.stride(1) == 1 || weight.size(1) == 1) {
    scale(weight);
    return;
  }
  // Rows whose elements don't lie next to each other are scaled in a table of their own.
  const at::Tensor named = at::tensor(rows, at::kLong);
  const at::Tensor table = weight.index_select(0, named);
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  scale(table);
  at::Tensor(weight).index_copy_(0, named, table);
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, CPU, m) { m.impl("embedding_renorm_", &embedding_renorm); }

}  // namespace rowlane::cpu
