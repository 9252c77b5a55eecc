"""Optimizers that torch doesn't have: with a number per row in the state, or a norm per row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._row_optimizer import RowOptimizer
from ._step_numbers import StepNumbers


class _OwnOptimizer(RowOptimizer):
    """Lazy only. Dense gradients are steps of all rows."""

    def _is_table(self, param: Tensor) -> bool:
        return True

    def _as_rows(self, tensor: Tensor) -> Tensor:
        """A row per entry of the first dimension."""
        if tensor.dim() == 2:
            return tensor
        return tensor.view(tensor.size(0), -1) if tensor.dim() > 2 else tensor.view(-1, 1)

    def _new_count(self) -> int:
        return 0

    def _check(self, name: str, value: Any, is_valid: bool, wanted: str) -> None:
        if not is_valid:
            raise ValueError(f"{self._name}: {name} must be {wanted}, got {value}")


class RowWiseAdagrad(_OwnOptimizer):
    """Adagrad with one number per row.

    sum += mean(g^2) over the row; w -= lr g / (sqrt(sum) + eps), where g has weight_decay w in it.
    FBGEMM's EXACT_ROWWISE_ADAGRAD. A parameter that isn't 2-D has a row per entry of its first
    dimension. Takes RowOptimizer's arguments, too. Raises ValueError when a number is negative.
    """

    _rule = "rowwise_adagrad"

    def __init__(self, params: ParamsT, lr: float | Tensor = 1e-2, weight_decay: float = 0,
                 initial_accumulator_value: float = 0, eps: float = 1e-8, *,
                 maximize: bool = False, **row_options: Any) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay,
                    "initial_accumulator_value": initial_accumulator_value, "eps": eps}
        for name, value in defaults.items():
            self._check(name, value, value >= 0, "at least 0")
        super().__init__(params, {**defaults, "maximize": maximize}, **row_options)

    def _numbers(self, group: dict[str, Any], step: int) -> StepNumbers:
        return StepNumbers(lr=group["lr"], weight_decay=group["weight_decay"], eps=group["eps"],
                           step=step)

    def _per_row_state_names(self) -> list[str]:
        return ["sum"]

    def _initial_value(self, group: dict[str, Any]) -> float:
        return float(group["initial_accumulator_value"])


class _OwnAdam(_OwnOptimizer):
    def __init__(self, params: ParamsT, lr: float | Tensor = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, *, maximize: bool = False, **row_options: Any) -> None:
        self._check("lr", lr, lr >= 0, "at least 0")
        self._check("betas", betas, all(0 <= beta < 1 for beta in betas), "in [0, 1)")
        self._check("eps", eps, eps >= 0, "at least 0")
        self._check("weight_decay", weight_decay, weight_decay >= 0, "at least 0")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps,
                                  "weight_decay": weight_decay, "maximize": maximize},
                         **row_options)

    def _numbers(self, group: dict[str, Any], step: int) -> StepNumbers:
        return StepNumbers(lr=group["lr"], weight_decay=group["weight_decay"], is_decoupled=True,
                           beta1=group["betas"][0], beta2=group["betas"][1], eps=group["eps"],
                           step=step)


class PartialRowWiseAdam(_OwnAdam):
    """AdamW with one second moment per row.

    v = beta2 v + (1 - beta2) mean(g^2) over the row. FBGEMM's PARTIAL_ROWWISE_ADAM. A parameter
    that isn't 2-D has a row per entry of its first dimension. Takes RowOptimizer's arguments, too.
    Raises ValueError when a number is out of range.
    """

    _rule = "partial_rowwise_adam"

    def _state_names(self, group: dict[str, Any]) -> list[str]:
        return ["exp_avg"]

    def _per_row_state_names(self) -> list[str]:
        return ["exp_avg_sq"]


class LAMB(_OwnAdam):
    """Adam whose step is scaled to each row's own norm.

    r = Adam's step + weight_decay w; w -= lr |w| / |r| r, with the norms of the row; w -= lr r
    where one of them is zero. You et al., "Large Batch Optimization for Deep Learning", with a row
    of a table as a layer. A parameter with less than two dimensions is one row, one with more has a
    row per entry of its first dimension. Takes RowOptimizer's arguments, too. Raises ValueError
    when a number is out of range.
    """

    _rule = "lamb"

    def __init__(self, params: ParamsT, lr: float | Tensor = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-6,
                 weight_decay: float = 0, *, maximize: bool = False, **row_options: Any) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, maximize=maximize, **row_options)

    def _as_rows(self, tensor: Tensor) -> Tensor:
        return tensor.view(1, -1) if tensor.dim() < 2 else super()._as_rows(tensor)

    def _state_names(self, group: dict[str, Any]) -> list[str]:
        return ["exp_avg", "exp_avg_sq"]
