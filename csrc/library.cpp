// Every op of Rowlane. Each has kernels in csrc/cpu, csrc/device (CUDA) and csrc/meta, and its
// derivative in csrc/autograd. V rows of dim D.
#include <torch/library.h>

#include "rowlane/aten.h"
#include "rowlane/huge_pages.h"
#include "rowlane/index_errors.h"

TORCH_LIBRARY(rowlane, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};

  // weight [V, D], indices [*] -> [*, D]
  m.def(
      "embedding(Tensor weight, Tensor indices, SymInt? padding_idx=None,"
      " bool scale_grad_by_freq=False, bool sparse=False, bool row_gradient=False,"
      " str algorithm='auto') -> Tensor",
      tags);

  // Gradients of the table: grad_output [*, D], indices [*] -> [V, D], which is dense,
  m.def(
      "embedding_backward(Tensor grad_output, Tensor indices, SymInt num_embeddings,"
      " SymInt? padding_idx=None, bool scale_grad_by_freq=False, str algorithm='auto') -> Tensor",
      tags);
  // COO, uncoalesced, an entry per index,
  m.def(
      "embedding_sparse_backward(Tensor grad_output, Tensor indices, SymInt num_embeddings,"
      " SymInt? padding_idx=None) -> Tensor",
      tags);
  // or COO, coalesced, an entry per row.
  m.def(
      "embedding_row_gradient(Tensor grad_output, Tensor indices, SymInt num_embeddings,"
      " SymInt? padding_idx=None, bool scale_grad_by_freq=False, str algorithm='auto') -> Tensor",
      tags);

  // weight [V, D], of which the rows in indices [*] are scaled to at most max_norm
  m.def(
      "embedding_renorm_(Tensor(a!) weight, Tensor indices, float max_norm, float norm_type=2.)"
      " -> ()",
      tags);

  // Steps of optimizers that change the rows named alone, in place: csrc/ops/row_step.h. weight
  // [V, D], and what the rule keeps for it. By the gradients of rows [U], values [U, D];
  m.def(
      "row_step_(Tensor(a!) weight, Tensor(b!)[] state, Tensor(c!)? row_steps, bool counts_rows,"
      " Tensor(d!)? master, int? seed, Tensor rows, Tensor values, str rule, float[] numbers)"
      " -> ()",
      tags);
  // by those of look-ups, grad_output [*, D], indices [*];
  m.def(
      "embedding_step_(Tensor(a!) weight, Tensor(b!)[] state, Tensor(c!)? row_steps,"
      " bool counts_rows, Tensor(d!)? master, int? seed, Tensor grad_output, Tensor indices,"
      " str rule, float[] numbers, int? padding_idx=None, bool scale_grad_by_freq=False) -> ()",
      tags);
  // by gradients of zero, in all the steps that the rows in indices [*] have missed.
  m.def(
      "row_catch_up_(Tensor(a!) weight, Tensor(b!)[] state, Tensor(c!) row_steps,"
      " Tensor(d!)? master, int? seed, Tensor? indices, str rule, Tensor history, int last_step)"
      " -> ()",
      tags);

  // For programs in Python: include/rowlane/huge_pages.h, index_errors.h and aten.h
  m.def("use_huge_pages(Tensor table) -> ()", &rowlane::use_huge_pages);
  m.def("synchronize() -> ()", &rowlane::synchronize);
  m.def("install_aten_kernels() -> ()", &rowlane::install_aten_kernels);
  m.def("uninstall_aten_kernels() -> ()", &rowlane::uninstall_aten_kernels);
}
