// What every optimizer of rowlane::optim has beside torch's interface.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/optimizer.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "rowlane/export.h"
#include "rowlane/optim/row_options.h"

namespace rowlane::optim {
namespace detail {
class RowRule;
class RowTable;
class TorchOptimizer;
}  // namespace detail

// The base of the optimizers beside torch::optim::Optimizer: steps of rows.
//
// A parameter whose gradient is a sparse (COO) tensor takes its step in the rows that the gradient
// names; the other rows aren't touched, or, with RowSemantics::kDenseEquivalent, follow later. The
// time and memory of a step don't depend on how many rows the table has. A gradient that isn't
// coalesced is summed first. A gradient without an entry is a step, too: it counts; a parameter
// without a gradient takes none, as in torch. The first sparse gradient makes a parameter a table,
// as nn::Embedding's attach() and fuse() do; its dense gradients are then steps of all rows.
//
// step() throws c10::Error if a table has another shape than [V, D], isn't contiguous, or isn't
// half, bfloat16, float or double; or if kDenseEquivalent holds and a row was read without being up
// to date. Deterministic. Asynchronous on a GPU, but for a gradient that isn't coalesced and for
// kDenseEquivalent, whose check of rows waits once. Not to be used by two threads at a time.
//
// Modules refer to the optimizer's memory, so it can't be copied or moved.
class ROWLANE_EXPORT RowOptimizer {
 public:
  RowOptimizer(const RowOptimizer&) = delete;
  RowOptimizer& operator=(const RowOptimizer&) = delete;

  [[nodiscard]] const RowOptions& row_options() const noexcept;

  // With RowSemantics::kDenseEquivalent: brings all rows of all tables up to date, so that they
  // equal those of torch's dense optimizer; O(V D). Otherwise nothing is left to do. Saving the
  // optimizer, and saving or cloning an attached module, does it first.
  void flush();

  // What the optimizer knows of one of its parameters; made if need be. For modules that read rows:
  // see nn::EmbeddingImpl::attach. Throws c10::ValueError if `weight` is none of them.
  std::shared_ptr<detail::RowTable> table(const at::Tensor& weight);

 protected:
  // `optimizer` is the rest of this object.
  RowOptimizer(torch::optim::Optimizer& optimizer, const detail::RowRule& rule,
               const RowOptions& options);
  virtual ~RowOptimizer();

  // A step of all parameters: of rows, and by `dense_step` of the others.
  at::Tensor step_rows(const torch::optim::Optimizer::LossClosure& closure,
                       const std::function<void()>& dense_step);
  // What torch's archive doesn't have: counts of the rows and copies in float, under the key
  // "rowlane_rows", which torch doesn't read. Before torch's own part is saved, which flush()es;
  // after it is loaded, before which flush() is called.
  void save_rows(torch::serialize::OutputArchive& archive) const;
  void load_rows(torch::serialize::InputArchive& archive);

 private:
  std::unique_ptr<detail::TorchOptimizer> impl_;
};

// An optimizer of torch's, some of whose parameters take steps of rows.
template <typename TorchOptimizer>
class ROWLANE_EXPORT WithRows : public TorchOptimizer, public RowOptimizer {
 public:
  at::Tensor step(torch::optim::Optimizer::LossClosure closure = nullptr) override {
    return step_rows(closure, [this] { TorchOptimizer::step(); });
  }
  void save(torch::serialize::OutputArchive& archive) const override {
    save_rows(archive);
    TorchOptimizer::save(archive);
  }
  void load(torch::serialize::InputArchive& archive) override {
    flush();
    TorchOptimizer::load(archive);
    load_rows(archive);
  }

 protected:
  template <typename Options>
  WithRows(const std::vector<torch::optim::OptimizerParamGroup>& param_groups, Options options,
           const detail::RowRule& rule, const RowOptions& row_options)
      : TorchOptimizer(param_groups, std::move(options)), RowOptimizer(*this, rule, row_options) {}
};

}  // namespace rowlane::optim
