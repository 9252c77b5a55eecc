"""A look-up whose backward takes the step of an optimizer instead of making a gradient."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable

import torch
from torch import Tensor

_FUSED = "rowlane::nn::Embedding: the table is fused with its optimizer and has no gradient, "


@dataclasses.dataclass
class LookUp:
    """The gradients of one: grad_output [*, D] of the rows that indices [*] names."""

    grad_output: Tensor
    indices: Tensor
    padding_idx: int | None
    scale_grad_by_freq: bool
    # How many steps the table had taken when the rows were read.
    step_of_forward: int


def joined(look_ups: list[LookUp]) -> LookUp:
    """One look-up with the same gradient as all of them, which have the same options."""
    if len(look_ups) == 1:
        return look_ups[0]
    return dataclasses.replace(
        look_ups[0],
        grad_output=torch.cat([look_up.grad_output.flatten(0, -2) for look_up in look_ups]),
        indices=torch.cat([look_up.indices.flatten() for look_up in look_ups]))


class BackwardPasses:
    """Collects the look-ups of each backward pass, for the step that is taken when it ends."""

    def __init__(self, end_backward: Callable[[list[tuple[Tensor, LookUp]]], None]) -> None:
        self._end_backward = end_backward
        # By the number that autograd gives the pass. What a pass that failed has left behind is of
        # no use to another, and goes with the next step().
        self._look_ups: dict[int, list[tuple[Tensor, LookUp]]] = {}

    def add(self, weight: Tensor, look_up: LookUp) -> None:
        number = torch._C._current_graph_task_id()
        if number not in self._look_ups:
            self._look_ups[number] = []
            torch.autograd.Variable._execution_engine.queue_callback(lambda: self._end(number))
        self._look_ups[number].append((weight, look_up))

    def clear(self) -> None:
        self._look_ups.clear()

    def _end(self, number: int) -> None:
        with torch.no_grad():
            self._end_backward(self._look_ups.pop(number))


class _FusedLookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, indices: Tensor,
                take_gradient: Callable[[Tensor, Tensor], None]) -> Tensor:
        ctx.save_for_backward(indices)
        ctx.take_gradient = take_gradient
        ctx.set_materialize_grads(False)
        rows: Tensor = torch.ops.rowlane.embedding(weight, indices)
        return rows

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor | None) -> Any:  # type: ignore[override]
        if grad_output is None:
            return None, None, None
        if torch.is_grad_enabled():
            raise RuntimeError(
                _FUSED + "so create_graph must be false; unfuse() it for higher derivatives")
        try:
            torch._C._will_engine_execute_node(ctx.next_functions[0][0])
        except RuntimeError as error:
            raise RuntimeError(
                _FUSED + "so it can't be asked for by torch.autograd.grad; unfuse() it") from error
        ctx.take_gradient(grad_output.detach(), ctx.saved_tensors[0])
        return None, None, None


@torch.compiler.disable
def fused_look_up(weight: Tensor, indices: Tensor,
                  take_gradient: Callable[[Tensor, Tensor], None]) -> Tensor:
    """weight[indices], [*, D], whose backward hands (grad_output, indices) to take_gradient."""
    rows: Tensor = _FusedLookUp.apply(weight, indices, take_gradient)
    return rows
