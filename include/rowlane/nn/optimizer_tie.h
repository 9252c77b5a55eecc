// What ties a module's table to its optimizer; modules use it, programs don't.
#pragma once

#include <memory>

#include "rowlane/export.h"

namespace rowlane::optim {
class RowOptimizer;
namespace detail {
class RowTable;
}  // namespace detail
}  // namespace rowlane::optim

namespace rowlane::nn {

// Copies, and so clones of the module, aren't tied.
class ROWLANE_EXPORT OptimizerTie {
 public:
  OptimizerTie() = default;
  OptimizerTie(const OptimizerTie& /*other*/) noexcept {}
  OptimizerTie& operator=(const OptimizerTie& other) noexcept;
  ~OptimizerTie();

  void set(std::shared_ptr<optim::detail::RowTable> table, bool is_fused);
  // Null if not tied.
  [[nodiscard]] const std::shared_ptr<optim::detail::RowTable>& table() const { return table_; }
  [[nodiscard]] bool is_fused() const noexcept { return is_fused_; }

 private:
  void unfuse() noexcept;

  std::shared_ptr<optim::detail::RowTable> table_;
  bool is_fused_ = false;
};

}  // namespace rowlane::nn
