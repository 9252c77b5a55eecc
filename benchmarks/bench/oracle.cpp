#include "bench/oracle.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <sstream>

namespace rowlane::bench {
namespace {

// Calls f<ElemT>().
template <typename F>
decltype(auto) dispatch_elem(at::ScalarType dtype, F&& f) {
  switch (dtype) {
    case at::kDouble:
      return f.template operator()<double>();
    case at::kHalf:
      return f.template operator()<at::Half>();
    case at::kBFloat16:
      return f.template operator()<at::BFloat16>();
    default:
      return f.template operator()<float>();
  }
}

// The largest relative error of rounding to a dtype.
double unit_roundoff(at::ScalarType dtype) {
  return dispatch_elem(dtype, []<typename ElemT>() {
    return static_cast<double>(std::numeric_limits<ElemT>::epsilon()) / 2;
  });
}

at::Tensor on_cpu(const at::Tensor& tensor) { return tensor.detach().cpu().contiguous(); }

struct Place {
  std::int64_t row;
  std::int64_t column;
};

[[noreturn]] void disagree(const char* what, const Place& place, double got, double expected,
                           double allowed) {
  std::ostringstream text;
  text << what << ", row " << place.row << ", column " << place.column << ": got "
       << std::setprecision(10) << got << ", expected " << expected << " with an error of at most "
       << std::setprecision(2) << allowed;
  throw Disagreement(text.str());
}

}  // namespace

Oracle::Oracle(const at::Tensor& table, const at::Tensor& indices, const at::Tensor& output_grad)
    : table_(on_cpu(table)),
      output_grad_(on_cpu(output_grad)),
      num_rows_(table.size(0)),
      dim_(table.size(1)),
      slots_(static_cast<std::size_t>(num_rows_), -1) {
  const at::Tensor index_list = on_cpu(indices.to(at::kLong));
  indices_.assign(index_list.const_data_ptr<std::int64_t>(),
                  index_list.const_data_ptr<std::int64_t>() + index_list.numel());
  for (const std::int64_t row : indices_) {
    std::int64_t& slot = slots_[static_cast<std::size_t>(row)];
    if (slot < 0) {
      slot = num_distinct_rows();
      rows_.push_back(row);
      counts_.push_back(0);
    }
    ++counts_[static_cast<std::size_t>(slot)];
  }
  sums_.resize(rows_.size() * static_cast<std::size_t>(dim_));
  magnitudes_.resize(sums_.size());
  dispatch_elem(output_grad_.scalar_type(), [&]<typename ElemT>() {
    const ElemT* grad = output_grad_.const_data_ptr<ElemT>();
    for (const std::int64_t row : indices_) {
      const std::int64_t slot = slots_[static_cast<std::size_t>(row)];
      double* const sum = sums_.data() + slot * dim_;
      double* const magnitude = magnitudes_.data() + slot * dim_;
      for (std::int64_t d = 0; d < dim_; ++d) {
        const auto value = static_cast<double>(grad[d]);
        sum[d] += value;
        magnitude[d] += std::abs(value);
      }
      grad += dim_;
    }
  });
}

double Oracle::check_output(const at::Tensor& output, bool is_product) const {
  if (output.numel() != static_cast<std::int64_t>(indices_.size()) * dim_ ||
      output.scalar_type() != table_.scalar_type()) {
    throw Disagreement("the output has another shape or dtype");
  }
  const at::Tensor rows = on_cpu(output);
  return dispatch_elem(table_.scalar_type(), [&]<typename ElemT>() {
    const double roundoff = is_product ? unit_roundoff(table_.scalar_type()) : 0.0;
    const ElemT* const table = table_.const_data_ptr<ElemT>();
    const ElemT* got = rows.const_data_ptr<ElemT>();
    double largest = 0.0;
    for (const std::int64_t row : indices_) {
      const ElemT* const expected = table + row * dim_;
      for (std::int64_t d = 0; d < dim_; ++d) {
        const auto right = static_cast<double>(expected[d]);
        const double error = std::abs(static_cast<double>(got[d]) - right);
        const double allowed = roundoff * std::abs(right);
        // Written so that NaN fails.
        if (!(error <= allowed)) {
          disagree("the output", {row, d}, static_cast<double>(got[d]), right, allowed);
        }
        largest = std::max(largest, error);
      }
      got += dim_;
    }
    return largest;
  });
}

double Oracle::check_gradient(const at::Tensor& gradient, at::ScalarType accumulate_dtype) const {
  if (!gradient.defined() || gradient.dim() != 2 || gradient.size(0) != num_rows_ ||
      gradient.size(1) != dim_ || gradient.scalar_type() != table_.scalar_type()) {
    throw Disagreement("the gradient has another shape or dtype");
  }
  const at::Tensor dense = on_cpu(gradient);
  const double store_roundoff = unit_roundoff(dense.scalar_type());
  // The oracle rounds as well.
  const double log_growth =
      std::log1p(unit_roundoff(accumulate_dtype) + unit_roundoff(at::kDouble));
  return dispatch_elem(dense.scalar_type(), [&]<typename ElemT>() {
    const ElemT* got = dense.const_data_ptr<ElemT>();
    double largest = 0.0;
    for (std::int64_t row = 0; row < num_rows_; ++row, got += dim_) {
      const std::int64_t slot = slots_[static_cast<std::size_t>(row)];
      if (slot < 0) {
        for (std::int64_t d = 0; d < dim_; ++d) {
          if (!(got[d] == ElemT(0))) {
            disagree("the gradient of a row that was not looked up", {row, d},
                     static_cast<double>(got[d]), 0.0, 0.0);
          }
        }
        continue;
      }
      const double growth =
          std::expm1(static_cast<double>(counts_[static_cast<std::size_t>(slot)]) * log_growth);
      for (std::int64_t d = 0; d < dim_; ++d) {
        const auto element = static_cast<std::size_t>(slot * dim_ + d);
        const double error = std::abs(static_cast<double>(got[d]) - sums_[element]);
        const double sum_error = growth * magnitudes_[element];
        const double allowed = sum_error + store_roundoff * (std::abs(sums_[element]) + sum_error);
        if (!(error <= allowed)) {
          disagree("the gradient", {row, d}, static_cast<double>(got[d]), sums_[element], allowed);
        }
        largest = std::max(largest, error);
      }
    }
    return largest;
  });
}

}  // namespace rowlane::bench
