// What the right answer is: rows and sums of gradients, computed in double by plain loops.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace rowlane::bench {

// An implementation's result is further from the right one than rounding explains.
class Disagreement : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Oracle {
 public:
  // table [num_rows, dim], indices [*], output_grad [*, dim], on any device.
  Oracle(const at::Tensor& table, const at::Tensor& indices, const at::Tensor& output_grad);

  // Both return the largest absolute error, and throw Disagreement where an element is further off
  // than allowed.
  //
  // output [*, dim]: equal to the rows looked up, or, for a sum of products, within a rounding of
  // them.
  [[nodiscard]] double check_output(const at::Tensor& output, bool is_product) const;

  // gradient [num_rows, dim]: zero in every row that wasn't looked up. Elsewhere a sum of n numbers
  // may be off by ((1 + u)^n - 1) times the sum of their magnitudes, u being half of
  // accumulate_dtype's epsilon, and by one rounding to the gradient's dtype.
  [[nodiscard]] double check_gradient(const at::Tensor& gradient,
                                      at::ScalarType accumulate_dtype) const;

  [[nodiscard]] std::int64_t num_distinct_rows() const {
    return static_cast<std::int64_t>(rows_.size());
  }

 private:
  at::Tensor table_;        // [num_rows, dim], on the CPU
  at::Tensor output_grad_;  // [num_indices, dim], on the CPU
  std::int64_t num_rows_;
  std::int64_t dim_;
  std::vector<std::int64_t> indices_;  // [num_indices]
  std::vector<std::int64_t> slots_;    // [num_rows]: a row's place in rows_, or -1
  std::vector<std::int64_t> rows_;     // the rows that are looked up
  std::vector<std::int64_t> counts_;   // [rows_]: how often
  std::vector<double> sums_;           // [rows_, dim]
  std::vector<double> magnitudes_;     // [rows_, dim]: the sum of the gradients' absolute values
};

}  // namespace rowlane::bench
