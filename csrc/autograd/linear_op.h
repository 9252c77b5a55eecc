// Autograd for ops that are linear in their one differentiable input: reverse mode, forward mode
// and every higher order follow from the op itself and its transpose.
#pragma once

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/dynamo/compiled_autograd.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "csrc/autograd/keep_coalesced.h"

namespace rowlane::autograd {

// A node of the graph that applies a transposed op to the incoming gradient.
//
// Transpose is a struct of SymInts, optional SymInts, bools and strings, with
//   static constexpr const char* kName   the node's name in graphs and messages
//   at::Tensor apply(const at::Tensor& grad, const at::Tensor& indices) const
//                                        through dispatcher ops, so that it is differentiable
//                                        itself
//   auto fields()                        references to all that apply() uses, as std::tie()
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
    at::Tensor grad = transpose_.apply(grads[0], indices_.unpack());
    if (grad.is_sparse() && grad.is_coalesced()) {
      keep_coalesced(next_edge(0), grad);
    }
    return {std::move(grad)};
  }

  void release_variables() override { indices_.reset_data(); }

  // Compiled autograd: what its cache depends on, and a call of apply_to() in its graph.
  void compiled_args(torch::dynamo::autograd::CompiledNodeArgs& args) const override {
    args.collect(indices_, /*is_output=*/false);
    Transpose transpose = transpose_;
    std::apply([&](const auto&... field) { (args.collect(field), ...); }, transpose.fields());
  }

  torch::autograd::variable_list apply_with_saved(
      const torch::autograd::variable_list& grads,
      torch::dynamo::autograd::SwapSavedVariables& saved) override {
    namespace dynamo = torch::dynamo::autograd;
    saved.before(indices_);
    std::apply([&](auto&... field) { (saved.before(field), ...); }, transpose_.fields());
    dynamo::PackedArgs packed;
    packed.pack(indices_.unpack());
    std::apply([&](const auto&... field) { (packed.pack(field), ...); }, transpose_.fields());
    std::vector<at::TypePtr> types{at::TensorType::get()};
    std::apply(
        [&](const auto&... field) {
          (types.push_back(
               dynamo::IValuePacker<std::remove_cvref_t<decltype(field)>>::packed_type()),
           ...);
        },
        transpose_.fields());
    const auto& compiler = dynamo::getPyCompilerInterface();
    const std::string function =
        compiler->bind_function(saved.get_py_compiler(), name(), &apply_to, std::move(types),
                                /*is_custom_function=*/true, /*is_traceable=*/true);
    auto result = compiler->call_function(
        saved.get_py_compiler(), "apply_functional", function, grads, packed.vec(),
        dynamo::IValuePacker<std::vector<std::optional<torch::autograd::InputMetadata>>>::pack(
            dynamo::get_input_metadata(next_edges())));
    saved.after(indices_);
    std::apply([&](auto&... field) { (saved.after(field), ...); }, transpose_.fields());
    return result;
  }

 private:
  // apply() with everything that it needs as arguments.
  static torch::autograd::variable_list apply_to(const torch::autograd::variable_list& grads,
                                                 const torch::autograd::ivalue_list& args) {
    torch::dynamo::autograd::PackedArgs packed(args);
    const auto indices = packed.unpack<at::Tensor>();
    Transpose transpose;
    std::apply(
        [&](auto&... field) {
          ((field = packed.unpack<std::remove_cvref_t<decltype(field)>>()), ...);
        },
        transpose.fields());
    return {grads[0].defined() ? transpose.apply(grads[0], indices) : at::Tensor()};
  }

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
