// Autograd for ops that are linear in their one differentiable input: reverse mode, forward mode
// and every higher order follow from the op itself and its transpose.
#pragma once

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <memory>
#include <string>
#include <utility>

namespace rowlane::autograd {

// A node of the graph that applies a transposed op to the incoming gradient.
//
// Transpose is a struct with
//   static constexpr const char* kName;                                  the node's name in graphs
//   and messages at::Tensor apply(const at::Tensor& grad, const at::Tensor& indices)  through
//   dispatcher ops, so that it is
//                                                                        differentiable itself
template <typename Transpose>
class LinearOpNode : public torch::autograd::Node {
 public:
  LinearOpNode(Transpose transpose, const at::Tensor& indices)
      : transpose_(std::move(transpose)), indices_(indices, /*is_output=*/false) {}

  std::string name() const override { return Transpose::kName; }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    if (!grads[0].defined() || !task_should_compute_output(0)) {
      return {at::Tensor()};
    }
    return {transpose_.apply(grads[0], indices_.unpack())};
  }

  void release_variables() override { indices_.reset_data(); }

 private:
  Transpose transpose_;
  torch::autograd::SavedVariable indices_;
};

// Runs `op(input)` below autograd and records how to differentiate it: `tangent(input's tangent)`
// is its forward-mode derivative, `transpose` its reverse-mode one. `indices` is saved for the
// transpose; changing it in place before the backward pass is an error.
template <typename Op, typename Tangent, typename MakeTranspose>
at::Tensor record_linear_op(const at::Tensor& input, const at::Tensor& indices, Op&& op,
                            Tangent&& tangent, MakeTranspose&& make_transpose) {
  at::Tensor output;
  {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    output = op(input);
  }
  if (torch::autograd::compute_requires_grad(input)) {
    auto transpose = make_transpose();
    using Node = LinearOpNode<decltype(transpose)>;
    std::shared_ptr<Node> node(new Node(std::move(transpose), indices),
                               torch::autograd::deleteNode);
    node->set_next_edges(torch::autograd::collect_next_edges(input));
    torch::autograd::set_history(output, node);
  }
  if (const at::Tensor& input_tangent = input._fw_grad(/*level=*/0); input_tangent.defined()) {
    output._set_fw_grad(tangent(input_tangent), /*level=*/0, /*is_inplace_op=*/false);
  }
  return output;
}

}  // namespace rowlane::autograd
