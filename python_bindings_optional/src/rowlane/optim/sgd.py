"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._row_optimizer import RowOptimizer
from ._step_numbers import StepNumbers


class SGD(RowOptimizer, torch.optim.SGD):
    """torch.optim.SGD, whose arguments it takes, and those of RowOptimizer.

    Of a table with COO gradients the rows alone take steps: with momentum or weight decay, too.
    """

    _rule = "sgd"
    _has_dense_equivalent = True

    def _numbers(self, group: dict[str, Any], step: int) -> StepNumbers:
        return StepNumbers(lr=group["lr"], weight_decay=group["weight_decay"],
                           beta1=group["momentum"], beta2=group["dampening"],
                           is_nesterov=group["nesterov"], step=step)

    def _state_names(self, group: dict[str, Any]) -> list[str]:
        return ["momentum_buffer"] if group["momentum"] != 0 else []

    def _last_step(self, param: Tensor) -> int:
        # torch doesn't count, but makes the buffer in the first step.
        state = self.state.get(param, {})
        return int(state.get("step", state.get("momentum_buffer") is not None))

    def _next_step(self, param: Tensor, group: dict[str, Any]) -> int:
        if group["momentum"] == 0 and group["semantics"] == "lazy":
            return 1  # which makes no difference
        step = self._last_step(param) + 1
        self.state[param]["step"] = step
        return step

    def _leaves_other_rows(self, numbers: StepNumbers) -> bool:
        return numbers.beta1 == 0 and numbers.weight_decay == 0
