"""Adagrad, with a number for each element or for each row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._row_optimizer import RowOptimizer
from ._step_numbers import StepNumbers


class Adagrad(RowOptimizer, torch.optim.Adagrad):
    """torch.optim.Adagrad, whose arguments it takes, and those of RowOptimizer.

    With weight_decay for tables with COO gradients, too.
    """

    _rule = "adagrad"
    _has_dense_equivalent = True

    def _numbers(self, group: dict[str, Any], step: int) -> StepNumbers:
        return StepNumbers(lr=float(group["lr"]) / (1 + (step - 1) * group["lr_decay"]),
                           weight_decay=group["weight_decay"], eps=group["eps"], step=step)

    def _state_names(self, group: dict[str, Any]) -> list[str]:
        return ["sum"]

    def _initial_value(self, group: dict[str, Any]) -> float:
        return float(group["initial_accumulator_value"])

    def _leaves_other_rows(self, numbers: StepNumbers) -> bool:
        return numbers.weight_decay == 0
