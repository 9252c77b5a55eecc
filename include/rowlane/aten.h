// Rowlane under torch's own names: stock modules and models run on its kernels, unchanged.
#pragma once

#include "rowlane/export.h"

namespace rowlane {

// From now on aten::embedding, embedding_dense_backward, embedding_sparse_backward and
// embedding_renorm_ are computed by Rowlane in the whole process, on the CPU, and on GPUs if
// Rowlane is built with CUDA: torch::nn::Embedding, torch.nn.Embedding and every model that is made
// of them. What torch defines stays as torch has it, its derivatives included; an index out of
// range is named by its position and value.
//
// Says so in a line on stderr. Does nothing if it is already so. Loading the library rowlane_aten
// does the same. Not to be called while another thread runs one of these ops.
ROWLANE_EXPORT void install_aten_kernels();

// Back to torch's own.
ROWLANE_EXPORT void uninstall_aten_kernels();

}  // namespace rowlane
