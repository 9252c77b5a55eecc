#include "csrc/autograd/fused_embedding.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <memory>
#include <string>
#include <utility>

namespace rowlane::autograd {
namespace {

constexpr const char* kFused =
    "rowlane::nn::Embedding: the table is fused with its optimizer and has no gradient, ";

class FusedEmbeddingNode : public torch::autograd::Node {
 public:
  FusedEmbeddingNode(const at::Tensor& indices, TakeGradient take_gradient)
      : indices_(indices, /*is_output=*/false), take_gradient_(std::move(take_gradient)) {}

  std::string name() const override { return "RowlaneFusedEmbeddingBackward"; }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    if (!grads[0].defined()) {
      return {at::Tensor()};
    }
    TORCH_CHECK_NOT_IMPLEMENTED(
        !at::GradMode::is_enabled(), kFused,
        "so create_graph must be false; unfuse() it for higher derivatives");
    // Nothing but the gradient of the table lies behind this node.
    const auto* wanted = torch::autograd::get_current_graph_task_exec_info();
    TORCH_CHECK(wanted == nullptr || wanted->empty(), kFused,
                "so it can't be asked for by autograd.grad or by the inputs of backward; unfuse() "
                "it");
    take_gradient_(grads[0], indices_.unpack());
    return {at::Tensor()};
  }

  void release_variables() override { indices_.reset_data(); }

 private:
  torch::autograd::SavedVariable indices_;
  TakeGradient take_gradient_;
};

}  // namespace

at::Tensor fused_embedding(const at::Tensor& weight, const at::Tensor& indices,
                           const ops::LookUp& look_up, TakeGradient take_gradient) {
  TORCH_CHECK_NOT_IMPLEMENTED(!weight._fw_grad(/*level=*/0).defined(), kFused,
                              "so weight must have no tangent; unfuse() it for forward mode");
  at::Tensor output;
  {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    output = ops::embedding(weight, indices, look_up);
  }
  std::shared_ptr<FusedEmbeddingNode> node(
      new FusedEmbeddingNode(indices, std::move(take_gradient)), torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(weight));
  torch::autograd::set_history(output, node);
  return output;
}

}  // namespace rowlane::autograd
