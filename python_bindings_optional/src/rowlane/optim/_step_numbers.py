"""The numbers of one step, and of all the steps that some rows may have missed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class StepNumbers(NamedTuple):
    """In the order in which the ops take them: cuda/step_rule.h says what they are."""

    lr: float
    weight_decay: float = 0.0
    is_decoupled: float = 0.0
    beta1: float = 0.0
    beta2: float = 0.0
    eps: float = 0.0
    is_nesterov: float = 0.0
    step: float = 1.0

    def to_list(self) -> list[float]:
        return [float(value) for value in self]


class History:
    """What every step since the last flush was taken with.

    A line of numbers wherever one of them changes; the last is the step from which on they hold.
    """

    def __init__(self) -> None:
        self._lines = torch.empty(0, 0, dtype=torch.float64)
        self._count = 0
        self._last: list[float] = []

    def __len__(self) -> int:
        return self._count

    def add(self, numbers: list[float]) -> None:
        if self._count and self._last[:-1] == numbers[:-1]:
            return
        if self._count == self._lines.size(0):
            # Twice the room, so that a learning rate that changes in every step costs little.
            lines = torch.empty(max(16, 2 * self._count), len(numbers), dtype=torch.float64)
            if self._count:
                lines[:self._count] = self._lines
            self._lines = lines
        self._lines[self._count] = torch.tensor(numbers, dtype=torch.float64)
        self._last = list(numbers)
        self._count += 1

    def lines(self) -> Tensor:
        """[len(self), 8] float64."""
        return self._lines[:self._count]

    def clear(self) -> None:
        self._count = 0
