"""The look-up as a function, with the arguments of torch.nn.functional.embedding."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from .. import _library  # noqa: F401


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
    *,
    row_gradient: bool = False,
    algorithm: str = "auto",
) -> Tensor:
    """weight[input]: the rows of weight [V, D] that input [*] names, [*, D].

    As torch.nn.functional.embedding, which see for the other arguments. row_gradient: the gradient
    is a coalesced COO tensor, an entry per row. algorithm: of the gradient, "auto", "sorted",
    "small" or "atomic"; all but the last are deterministic.
    """
    if has_torch_function_variadic(input, weight):  # what torch.fx traces with
        return handle_torch_function(
            embedding, (input, weight), input, weight, padding_idx, max_norm, norm_type,
            scale_grad_by_freq, sparse, row_gradient=row_gradient, algorithm=algorithm)
    if padding_idx is not None:
        num_rows = weight.size(0)
        if not -num_rows <= padding_idx < num_rows:
            raise ValueError(
                f"rowlane::embedding: padding_idx {padding_idx} is out of range for a table of "
                f"{num_rows} rows")
        if padding_idx < 0:
            padding_idx += num_rows
    _renorm(input, weight, max_norm, norm_type)
    return torch.ops.rowlane.embedding(weight, input, padding_idx, scale_grad_by_freq, sparse,
                                       row_gradient, algorithm)


def _renorm(input: Tensor, weight: Tensor, max_norm: float | None, norm_type: float) -> None:
    """Scales the rows of weight that input names, and whose norm is larger, to max_norm."""
    if max_norm is not None:
        with torch.no_grad():
            torch.ops.rowlane.embedding_renorm_(weight.detach(), input, max_norm, norm_type)
