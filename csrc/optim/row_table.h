// A parameter that takes its steps in rows.
#pragma once

#include <ATen/core/Tensor.h>

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

class RowOptimizerImpl;

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
//
// Every function that reads the table first notices whether somebody else has written to it. The
// steps that rows had missed by then belong to the numbers that are gone: what the optimizer keeps
// takes them, the table doesn't, and all rows are up to date. Copies in float follow the elements
// that have changed.
class RowTable {
 public:
  RowTable(RowOptimizerImpl& owner, const at::Tensor& weight, std::int64_t position,
           const RowOptions& options);

  [[nodiscard]] const at::Tensor& weight() const { return weight_; }
  // Among the parameters of the optimizer.
  [[nodiscard]] std::int64_t position() const { return position_; }
  [[nodiscard]] std::int64_t num_steps() const { return num_steps_; }
  [[nodiscard]] const RowOptions& options() const { return options_; }
  // Brings rows up to date first if they change.
  void set_options(const RowOptions& options);
  // Null when the optimizer is gone.
  [[nodiscard]] RowOptimizerImpl* owner() const { return owner_; }
  void lose_owner() noexcept { owner_ = nullptr; }

  // Throws if step(grad) can't be right; nothing has changed then.
  void check_gradient(const at::Tensor& grad);
  // A step by a gradient of weight's shape: COO, coalesced or not, or dense. It is divided by
  // `scale`, one element, if that is defined.
  void step(const at::Tensor& grad, const at::Tensor& scale = {});

  // The same for the sum of the gradients of look-ups.
  void check_look_ups(std::span<const LookUpGradient> look_ups) const;
  void step(std::span<const LookUpGradient> look_ups);

  // Brings the rows in indices [*], or all, up to date.
  void catch_up(const at::Tensor& indices);
  void flush();
  [[nodiscard]] bool has_rows_behind() const { return is_tracked() && !is_up_to_date(); }
  // Whoever changes numbers of rows that are up to date, as max_norm does, says so: they aren't
  // replaced.
  void accept_changes() { contents_ = contents(); }

  // A fused table has no gradient, and takes one step between two of the optimizer.
  [[nodiscard]] bool is_fused() const { return is_fused_; }
  void set_fused(bool is_fused) {
    is_fused_ = is_fused;
    has_fused_step_ = false;
  }
  void check_has_owner() const;
  void check_may_step_fused() const;
  void check_has_no_gradient() const;
  void allow_fused_step() { has_fused_step_ = false; }

  // What torch's state doesn't have; undefined if there is none. All rows must be up to date.
  [[nodiscard]] at::Tensor row_steps_to_save() const {
    return options_.per_row_steps() ? row_steps_ : at::Tensor();
  }
  [[nodiscard]] const at::Tensor& master() const { return master_; }
  // The optimizer's state of the table is another from now on, and these belong to it.
  void load(const at::Tensor& row_steps, const at::Tensor& master);

  [[nodiscard]] std::int64_t num_history_lines() const { return history_.num_lines(); }

 private:
  struct Step;
  // Changes whenever the table is written to.
  struct Contents {
    const void* data = nullptr;
    std::uint32_t version = 0;
    friend bool operator==(const Contents&, const Contents&) = default;
  };

  [[nodiscard]] Contents contents() const;
  void notice_replacement();

  [[nodiscard]] bool is_16_bit() const;
  [[nodiscard]] std::string_view optimizer() const;
  [[nodiscard]] bool is_tracked() const {
    return row_steps_.defined() && !options_.per_row_steps();
  }
  [[nodiscard]] bool is_up_to_date() const { return num_steps_ == num_steps_of_all_rows_; }
  // `rows` [U] are read to be up to date.
  void check_up_to_date(const std::optional<at::Tensor>& rows) const;
  [[nodiscard]] ops::StepTarget target() const;
  [[nodiscard]] at::Tensor as_table(const at::Tensor& tensor) const;
  void collect_state(const std::vector<at::Tensor*>& slots, double initial);
  Step begin_step();
  void end_step(const ops::StepNumbers& numbers);
  void replay(const ops::StepTarget& target, const std::optional<at::Tensor>& indices);
  // The next step is the first.
  void restart();

  RowOptimizerImpl* owner_;
  at::Tensor weight_;
  std::int64_t position_;
  ops::StepRule rule_;
  RowOptions options_;
  std::pair<std::int64_t, std::int64_t> shape_;  // V, D

  std::int64_t num_steps_ = 0;
  // To this step all rows are up to date, at least.
  std::int64_t num_steps_of_all_rows_ = 0;
  std::vector<at::Tensor> state_;  // of the last step, [V, D] or [V]
  at::Tensor row_steps_;           // as in ops::StepTarget; undefined if not needed so far
  at::Tensor master_;
  StepHistory history_;
  Contents contents_;

  bool is_fused_ = false;
  bool has_fused_step_ = false;
};

}  // namespace rowlane::optim::detail
