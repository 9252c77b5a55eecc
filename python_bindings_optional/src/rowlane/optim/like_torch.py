"""The optimizers that torch has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._row_optimizer import RowOptimizer


class SGD(RowOptimizer, torch.optim.SGD):
    """torch.optim.SGD, whose arguments it takes, and those of RowOptimizer.

    Of a table with COO gradients the rows alone take steps: with momentum or weight decay, too.
    """

    _rule = "sgd"

    def _count(self, state: dict[str, Any], num_steps: int) -> None:
        """torch doesn't count."""


class Adagrad(RowOptimizer, torch.optim.Adagrad):
    """torch.optim.Adagrad, whose arguments it takes, and those of RowOptimizer.

    With weight_decay for tables with COO gradients, too.
    """

    _rule = "adagrad"


class Adam(RowOptimizer, torch.optim.Adam):
    """torch.optim.Adam, whose arguments it takes, and those of RowOptimizer."""

    _rule = "adam"


class AdamW(RowOptimizer, torch.optim.AdamW):
    """torch.optim.AdamW, whose arguments it takes, and those of RowOptimizer."""

    _rule = "adam"


class SparseAdam(RowOptimizer, torch.optim.SparseAdam):
    """torch.optim.SparseAdam, whose arguments it takes, and those of RowOptimizer. Lazy only.

    Its eps is added before the bias is corrected, unlike Adam's.
    """

    _rule = "sparse_adam"
    _dense_gradients = "refused"

    def _count(self, state: dict[str, Any], num_steps: int) -> None:
        state["step"] = num_steps

    def _is_table(self, param: Tensor) -> bool:
        # A dense gradient is an error, torch's.
        assert param.grad is not None
        return param.grad.is_sparse
