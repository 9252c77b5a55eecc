"""The module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import functional


class Embedding(torch.nn.Embedding):
    """A torch.nn.Embedding whose forward and backward are Rowlane's.

    The same arguments, parameters and state, and two keyword arguments more: row_gradient and
    algorithm, as in rowlane.nn.functional.embedding.
    """

    def __init__(self, *args: Any, row_gradient: bool = False, algorithm: str = "auto",
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row_gradient = row_gradient
        self.algorithm = algorithm

    def forward(self, input: Tensor) -> Tensor:
        return functional.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse, row_gradient=self.row_gradient,
            algorithm=self.algorithm)

    def extra_repr(self) -> str:
        text = super().extra_repr()
        if self.row_gradient:
            text += ", row_gradient=True"
        if self.algorithm != "auto":
            text += f", algorithm={self.algorithm!r}"
        return text
