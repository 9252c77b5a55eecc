"""Adam and its kin that torch has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._row_optimizer import RowOptimizer
from ._step_numbers import StepNumbers


class _AdamRows(RowOptimizer):
    _rule = "adam"
    _has_dense_equivalent = True

    def _numbers(self, group: dict[str, Any], step: int) -> StepNumbers:
        return StepNumbers(lr=group["lr"], weight_decay=group["weight_decay"],
                           is_decoupled=group["decoupled_weight_decay"], beta1=group["betas"][0],
                           beta2=group["betas"][1], eps=group["eps"], step=step)

    def _state_names(self, group: dict[str, Any]) -> list[str]:
        names = ["exp_avg", "exp_avg_sq"]
        return names + ["max_exp_avg_sq"] if group["amsgrad"] else names


class Adam(_AdamRows, torch.optim.Adam):
    """torch.optim.Adam, whose arguments it takes, and those of RowOptimizer."""


class AdamW(_AdamRows, torch.optim.AdamW):
    """torch.optim.AdamW, whose arguments it takes, and those of RowOptimizer."""


class SparseAdam(RowOptimizer, torch.optim.SparseAdam):
    """torch.optim.SparseAdam, whose arguments it takes, and those of RowOptimizer. Lazy only.

    Its eps is added before the bias is corrected, unlike Adam's.
    """

    _rule = "sparse_adam"

    def _numbers(self, group: dict[str, Any], step: int) -> StepNumbers:
        return StepNumbers(lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1],
                           eps=group["eps"], step=step)

    def _state_names(self, group: dict[str, Any]) -> list[str]:
        return ["exp_avg", "exp_avg_sq"]

    def _new_count(self) -> int:
        return 0

    def _is_table(self, param: Tensor) -> bool:
        # A dense gradient is an error, torch's.
        assert param.grad is not None
        return param.grad.is_sparse
