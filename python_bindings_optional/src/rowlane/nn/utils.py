"""Clipping of gradients, of which some may be sparse: torch.nn.utils refuses those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """torch.nn.utils.clip_grad_norm_, which see; sparse gradients are coalesced and take part."""
    return torch.nn.utils.clip_grad_norm_(
        list(_with_dense_gradients(parameters)), max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float,
                     foreach: bool | None = None) -> None:
    """torch.nn.utils.clip_grad_value_, which see; sparse gradients are coalesced and take part."""
    torch.nn.utils.clip_grad_value_(list(_with_dense_gradients(parameters)), clip_value, foreach)


def _with_dense_gradients(parameters: Tensor | Iterable[Tensor]) -> Iterator[Tensor]:
    """The parameters; of those with a sparse gradient a stand-in, whose grad is its values."""
    for parameter in [parameters] if isinstance(parameters, Tensor) else parameters:
        if parameter.grad is None or not parameter.grad.is_sparse:
            yield parameter
            continue
        parameter.grad = parameter.grad.coalesce()
        values = parameter.grad._values()
        if values.numel() == 0:
            values = values.new_zeros(1)  # the largest of no numbers isn't defined
        stand_in = torch.empty_like(values)
        stand_in.grad = values
        yield stand_in
