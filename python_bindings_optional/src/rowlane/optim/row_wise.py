"""Optimizers that torch doesn't have: with a number per row in the state, or a norm per row."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from ._row_optimizer import RowOptimizer


class _OwnOptimizer(RowOptimizer):
    """Lazy only. Dense gradients are steps of all rows."""

    _dense_gradients = "all_rows"

    def _count(self, state: dict[str, Any], num_steps: int) -> None:
        state["step"] = num_steps

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


class _OwnAdam(_OwnOptimizer):
    _is_decoupled = True

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


class PartialRowWiseAdam(_OwnAdam):
    """AdamW with one second moment per row.

    v = beta2 v + (1 - beta2) mean(g^2) over the row. FBGEMM's PARTIAL_ROWWISE_ADAM. A parameter
    that isn't 2-D has a row per entry of its first dimension. Takes RowOptimizer's arguments, too.
    Raises ValueError when a number is out of range.
    """

    _rule = "partial_rowwise_adam"


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
