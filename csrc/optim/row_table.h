// A parameter that takes its steps in rows.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/serialize/archive.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "csrc/ops/row_step.h"
#include "csrc/optim/step_history.h"
#include "rowlane/optim/row_options.h"

namespace rowlane::optim::detail {

class RowSteps;

// Where a parameter stands among those of its optimizer.
struct Position {
  std::size_t group = 0;
  std::size_t index = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};

// The gradients of one look-up in a fused table.
struct LookUpGradient {
  at::Tensor grad_output;  // [*, D]
  at::Tensor indices;      // [*]
  std::optional<std::int64_t> padding_idx;
  bool scale_grad_by_freq = false;
  std::int64_t step_of_forward = 0;  // num_steps() when the rows were read
};

// The optimizer's knowledge of a table: how many steps it has taken, which rows are behind, and
// what no state of torch's has. Shared with the modules that read the table; so it may outlive the
// optimizer, and rows can still catch up then.
class RowTable {
 public:
  RowTable(RowSteps& owner, const at::Tensor& weight, Position position);

  [[nodiscard]] const at::Tensor& weight() const { return weight_; }
  [[nodiscard]] Position position() const { return position_; }
  [[nodiscard]] std::int64_t num_steps() const { return num_steps_; }
  // Null when the optimizer is gone.
  [[nodiscard]] RowSteps* owner() const { return owner_; }
  void lose_owner() noexcept { owner_ = nullptr; }

  // Throws if step(grad) can't be right; nothing has changed then.
  void check_gradient(const at::Tensor& grad) const;
  // A step by a gradient of weight's shape: COO, coalesced or not, or dense.
  void step(const at::Tensor& grad);

  // The same for the sum of the gradients of look-ups.
  void check_look_ups(std::span<const LookUpGradient> look_ups) const;
  void step(std::span<const LookUpGradient> look_ups);

  // Brings the rows in indices [*], or all, up to date.
  void catch_up(const at::Tensor& indices);
  void flush();

  // A fused table has no gradient, and takes one step between two of the optimizer.
  [[nodiscard]] bool is_fused() const { return is_fused_; }
  void set_fused(bool is_fused) {
    is_fused_ = is_fused;
    has_fused_step_ = false;
  }
  void check_has_owner() const;
  void check_may_step_fused() const;
  void allow_fused_step() { has_fused_step_ = false; }

  // What torch's archive of the optimizer doesn't have. All rows must be up to date.
  void save(torch::serialize::OutputArchive& archive) const;
  // After the optimizer's states have been loaded; null if the archive doesn't have this table.
  void load(torch::serialize::InputArchive* archive);

 private:
  struct Step;

  [[nodiscard]] bool is_16_bit() const;
  [[nodiscard]] std::string_view optimizer() const;
  [[nodiscard]] bool is_tracked() const;
  [[nodiscard]] bool is_up_to_date() const { return num_steps_ == num_steps_of_all_rows_; }
  // `rows` [U] are read to be up to date.
  void check_up_to_date(const std::optional<at::Tensor>& rows) const;
  [[nodiscard]] ops::StepTarget target() const;
  [[nodiscard]] at::Tensor as_table(const at::Tensor& tensor) const;
  Step begin_step();
  void end_step(const ops::StepNumbers& numbers);
  void replay(const std::optional<at::Tensor>& indices);
  // The next step is the first.
  void restart();

  RowSteps* owner_;
  at::Tensor weight_;
  Position position_;
  ops::StepRule rule_;
  RowOptions options_;
  std::pair<std::int64_t, std::int64_t> shape_;

  std::int64_t num_steps_ = 0;
  // To this step all rows are up to date, at least.
  std::int64_t num_steps_of_all_rows_ = 0;
  std::vector<at::Tensor> state_;  // of the last step, [V, D] or [V]
  at::Tensor row_steps_;           // as in ops::StepTarget; undefined if not needed so far
  at::Tensor master_;
  StepHistory history_;

  bool is_fused_ = false;
  bool has_fused_step_ = false;
};

}  // namespace rowlane::optim::detail
