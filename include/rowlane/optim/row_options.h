// What an optimizer does with tables whose gradients name rows, beside the options that torch has.
#pragma once

#include <c10/core/ScalarType.h>
#include <torch/arg.h>

#include <cstdint>
#include <optional>

#include "rowlane/export.h"

namespace rowlane::optim {

// What happens to the rows that a step's gradient doesn't name.
enum class RowSemantics : std::uint8_t {
  // Nothing: they, their moments and their weight decay stay as they are. torch's SparseAdam, and
  // what its SGD and Adagrad do with sparse gradients.
  kLazy,
  // In the end what torch's dense optimizer does: a row that was left out is brought up to date
  // before it is next read, or by flush(). For SGD, Adagrad, Adam and AdamW, with tables that are
  // read through an nn::Embedding that is attached to the optimizer.
  kDenseEquivalent,
};

// The last argument of every optimizer of rowlane::optim. Concerns tables alone, which are the
// parameters that have had a sparse gradient, or are fused; SparseAdam, RowWiseAdagrad,
// PartialRowWiseAdam and LAMB treat all their parameters so.
struct ROWLANE_EXPORT RowOptions {
  TORCH_ARG(RowSemantics, semantics) = RowSemantics::kLazy;
  // Bias is corrected by how many steps the row itself has taken, and not by how many the table
  // has. Not with kDenseEquivalent.
  TORCH_ARG(bool, per_row_steps) = false;
  // Tables of half or bfloat16 are rounded up or down at random, so that the mean is right: steps
  // that are smaller than the last bit aren't lost. One draw per step and table from torch's
  // default generator of the CPU, so manual_seed replays it. Not with master_weights.
  TORCH_ARG(bool, stochastic_rounding) = false;
  // Tables of half or bfloat16 have a copy in float, which takes the steps; the table is that copy,
  // rounded.
  TORCH_ARG(bool, master_weights) = false;
  // Of momentum buffers, sums and averages [V, D]: the table's dtype, as in torch, or float. What
  // is kept once per row is float always (double for double).
  TORCH_ARG(std::optional<at::ScalarType>, state_dtype) = std::nullopt;
};

}  // namespace rowlane::optim
