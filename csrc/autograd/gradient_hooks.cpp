#include "csrc/autograd/gradient_hooks.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>

namespace rowlane::autograd {

bool has_hooks(const at::Tensor& leaf) {
  const auto* const meta = torch::autograd::impl::get_autograd_meta(leaf);
  if (meta == nullptr) {
    return false;
  }
  if (meta->post_acc_grad_hooks_ != nullptr) {
    return true;
  }
  if (meta->hooks_.empty()) {
    return false;
  }
  // Hooks that were removed leave an empty function behind.
  return meta->cpp_hooks_list_ == nullptr || meta->hooks_.size() > 1 ||
         std::ranges::any_of(*meta->cpp_hooks_list_,
                             [](const auto& hook) { return hook != nullptr; });
}

bool has_accumulation_hooks(const at::Tensor& leaf) {
  const auto accumulator = torch::autograd::impl::try_get_grad_accumulator(leaf);
  return accumulator != nullptr && !accumulator->post_hooks().empty();
}

}  // namespace rowlane::autograd
