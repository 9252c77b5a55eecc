#include "csrc/autograd/keep_coalesced.h"

#include <ATen/ops/_coalesced.h>
#include <ATen/ops/_indices.h>
#include <ATen/ops/_values.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>

#include <algorithm>
#include <functional>

namespace rowlane::autograd {
namespace {

// What tells the gradient from any other without keeping it alive, which would cost a copy of it.
struct Identity {
  const void* indices;
  const void* values;
  std::int64_t num_entries;

  explicit Identity(const at::Tensor& sparse)
      : indices(sparse._indices().const_data_ptr()),
        values(sparse._values().const_data_ptr()),
        num_entries(sparse._nnz()) {}
  friend bool operator==(const Identity&, const Identity&) = default;
};

// Whether the gradient can be seen to be coalesced, as the sum of several row gradients is. On a
// GPU looking would cost a synchronisation.
bool ascends(const at::Tensor& sparse) {
  const at::Tensor indices = sparse._indices();
  if (!indices.is_cpu() || indices.size(0) != 1) {
    return false;
  }
  const at::Tensor list = indices.reshape(-1).contiguous();
  const auto* const rows = list.const_data_ptr<std::int64_t>();
  return std::adjacent_find(rows, rows + list.numel(), std::greater_equal<>()) ==
         rows + list.numel();
}

}  // namespace

void keep_coalesced(const torch::autograd::Edge& edge, const at::Tensor& grad) {
  const auto* const accumulate =
      dynamic_cast<const torch::autograd::AccumulateGrad*>(edge.function.get());
  if (accumulate == nullptr) {
    return;
  }
  torch::autograd::Engine::get_default_engine().queue_callback(
      [parameter = c10::weak_intrusive_ptr<c10::TensorImpl>(accumulate->variable.getIntrusivePtr()),
       identity = Identity(grad)] {
        const auto locked = parameter.lock();
        if (!locked) {
          return;
        }
        const at::Tensor& gradient = at::Tensor(locked).grad();
        if (gradient.defined() && gradient.is_sparse() && !gradient.is_coalesced() &&
            (Identity(gradient) == identity || ascends(gradient))) {
          gradient._coalesced_(true);
        }
      });
}

}  // namespace rowlane::autograd
