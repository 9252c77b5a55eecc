#include "row_sgd.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rowlane::examples {

void RowSgd::step(const at::Tensor& table, const at::Tensor& indices,
                  const at::Tensor& gradients) const {
  using OptionalTensor = std::optional<at::Tensor>;
  using Signature =
      void(const at::Tensor& weight, at::TensorList state, const OptionalTensor& row_steps,
           bool counts_rows, const OptionalTensor& master, std::optional<std::int64_t> seed,
           const at::Tensor& grad_output, const at::Tensor& indices, std::string_view rule,
           at::ArrayRef<double> numbers, std::optional<std::int64_t> padding_idx,
           bool scale_grad_by_freq);
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("rowlane::embedding_step_", "")
                             .typed<Signature>();
  // lr, weight_decay, is_decoupled, momentum, dampening, eps, is_nesterov, step
  const std::array<double, 8> numbers{learning_rate, 0, 0, 0, 0, 0, 0, 1};
  op.call(table, {}, std::nullopt, /*counts_rows=*/false, std::nullopt, std::nullopt, gradients,
          indices, "sgd", numbers, std::nullopt, /*scale_grad_by_freq=*/false);
}

}  // namespace rowlane::examples
