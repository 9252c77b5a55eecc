// Rowlane's kernels under the names of torch's ops. Each calls the op of Rowlane that does the
// same, below autograd: derivatives are those that torch has.
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <iostream>
#include <list>
#include <mutex>

#include "csrc/ops/embedding.h"
#include "rowlane/aten.h"

namespace rowlane {
namespace {

// torch takes any number for padding_idx; one that is no row is none.
std::optional<c10::SymInt> padding_row(const c10::SymInt& padding_idx,
                                       const c10::SymInt& num_weights) {
  return padding_idx >= 0 && padding_idx < num_weights ? std::optional(padding_idx) : std::nullopt;
}

at::Tensor embedding_kernel(const at::Tensor& weight, const at::Tensor& indices,
                            c10::SymInt /*padding_idx*/, bool /*scale_grad_by_freq*/,
                            bool /*sparse*/) {
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return ops::embedding(weight, indices, {});
}

at::Tensor embedding_dense_backward_kernel(const at::Tensor& grad_output, const at::Tensor& indices,
                                           c10::SymInt num_weights, c10::SymInt padding_idx,
                                           bool scale_grad_by_freq) {
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return ops::embedding_backward(grad_output, indices, num_weights,
                                 {.padding_idx = padding_row(padding_idx, num_weights),
                                  .scale_grad_by_freq = scale_grad_by_freq});
}

// torch has no derivative of this one but what it is made of, so it is replaced above autograd too.
at::Tensor embedding_sparse_backward_kernel(const at::Tensor& grad_output,
                                            const at::Tensor& indices, std::int64_t num_weights,
                                            std::int64_t padding_idx, bool scale_grad_by_freq) {
  TORCH_CHECK(!scale_grad_by_freq,
              "embedding_backward: scale_grad_by_freq not supported with sparse gradients");
  return ops::embedding_sparse_backward(grad_output, indices, num_weights,
                                        {.padding_idx = padding_row(padding_idx, num_weights)});
}

at::Tensor& embedding_renorm_kernel(at::Tensor& self, const at::Tensor& indices, double max_norm,
                                    double norm_type) {
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  ops::embedding_renorm(self, indices, max_norm, norm_type);
  return self;
}

// torch warns of a kernel that takes another's place; here that is what was asked for.
class Silence : public c10::WarningHandler {
 public:
  void process(const c10::Warning& /*warning*/) override {}
};

// The registrations: torch's own kernels are back when they are gone.
class AtenKernels {
 public:
  AtenKernels() {
    Silence silence;
    const c10::WarningUtils::WarningHandlerGuard guard(&silence);
    const auto embedding = c10::Dispatcher::singleton().findSchemaOrThrow("rowlane::embedding", "");
    std::string names;
    for (const auto& [name, key, autograd_key] :
         {std::tuple{"CPU", c10::DispatchKey::CPU, c10::DispatchKey::AutogradCPU},
          {"CUDA", c10::DispatchKey::CUDA, c10::DispatchKey::AutogradCUDA}}) {
      if (embedding.hasKernelForDispatchKey(key)) {
        torch::Library& kernels = open(key);
        kernels.impl("embedding", TORCH_FN(embedding_kernel));
        kernels.impl("embedding_dense_backward", TORCH_FN(embedding_dense_backward_kernel));
        kernels.impl("embedding_sparse_backward", TORCH_FN(embedding_sparse_backward_kernel));
        kernels.impl("embedding_renorm_", TORCH_FN(embedding_renorm_kernel));
        open(autograd_key)
            .impl("embedding_sparse_backward", TORCH_FN(embedding_sparse_backward_kernel));
        names += (names.empty() ? "" : ", ") + std::string(name);
      }
    }
    std::cerr << "rowlane: torch's embedding ops run on Rowlane's kernels now (" << names << ")\n";
  }

 private:
  torch::Library& open(c10::DispatchKey key) {
    return libraries_.emplace_back(torch::Library::IMPL, "aten", key, __FILE__, __LINE__);
  }

  std::list<torch::Library> libraries_;
};

std::mutex mutex;

// Not destroyed at the end of the process, when the dispatcher may be gone.
AtenKernels* installed = nullptr;

}  // namespace

void install_aten_kernels() {
  const std::lock_guard lock(mutex);
  if (installed == nullptr) {
    installed = new AtenKernels;
  }
}

void uninstall_aten_kernels() {
  const std::lock_guard lock(mutex);
  delete installed;
  installed = nullptr;
}

}  // namespace rowlane
