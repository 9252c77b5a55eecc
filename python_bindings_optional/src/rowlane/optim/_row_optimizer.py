"""The steps that the optimizers have in common: of rows, beside torch's own steps."""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch import Tensor

from ._fused_look_up import BackwardPasses, LookUp, joined
from ._table_optimizer import TableOptimizer

# From so many lines on all rows are caught up and the history begins anew: what a learning rate
# that changes in every step costs has a bound.
_MAX_HISTORY_LINES = 4096


class RowOptimizer(TableOptimizer):
    """Steps of rows, beside torch's own steps.

    A parameter whose gradient is a sparse (COO) tensor takes its step in the rows that the gradient
    names: the time and memory of a step don't depend on how many rows the table has. A gradient
    that isn't coalesced is summed first. One without an entry is a step, too: it counts. The first
    sparse gradient makes a parameter a table, whose dense gradients are then steps of all rows by
    the same rule. All others take torch's step. Deterministic.

    Keyword arguments, beside those that torch has, which concern tables alone:

    semantics: what happens to the rows that a step's gradient doesn't name. "lazy": nothing, as in
        torch.optim.SparseAdam. "dense_equivalent": in the end what torch's dense optimizer does; a
        row that was left out is brought up to date before it is next looked up, by a
        rowlane.nn.Embedding after attach(optimizer) or fuse(optimizer), or by flush(). For SGD,
        Adagrad, Adam and AdamW.
    per_row_steps: bias is corrected by how many steps the row itself has taken, and not by how many
        the table has. Not with dense_equivalent.
    stochastic_rounding: tables of float16 or bfloat16 are rounded up or down at random, so that the
        mean is right. One draw for each step from torch's default generator of the CPU, so
        torch.manual_seed replays it. Not with master_weights.
    master_weights: tables of float16 or bfloat16 have a copy in float32, which takes the steps; the
        table is that copy, rounded.
    state_dtype: of tensors [V, D]: None for the table's own, as in torch, or torch.float32. What is
        kept once per row is float32 always (float64 for float64).

    Raises ValueError for options that contradict. differentiable and capturable must be False for a
    table; foreach and fused choose how torch takes the steps of the other parameters.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._backward_passes = BackwardPasses(self._end_backward)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._backward_passes = BackwardPasses(self._end_backward)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """As torch's. A fused table has taken its step in the backward pass."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        tables, others = [], []
        for group in self.param_groups:
            for param in group["params"]:
                if param in self._tables and self._tables[param].is_fused:
                    self._check_fused(param)
                elif param.grad is not None and self._is_table(param):
                    tables.append((param, group, param.grad))
                elif param.grad is not None:
                    others.append(param)
        for param, group, gradient in tables:
            self._check_gradient(param, group, gradient)
        if others:
            try:
                # torch's own step passes by a parameter without a gradient.
                for param, _, _ in tables:
                    param.grad = None
                self._step_others()
            finally:
                for param, _, gradient in tables:
                    param.grad = gradient
        for param, group, gradient in tables:
            self._step_table(param, group, gradient)
        for table in self._tables.values():
            table.has_fused_step = False
        self._backward_passes.clear()
        return loss

    def _is_table(self, param: Tensor) -> bool:
        assert param.grad is not None
        return param.grad.is_sparse or param in self._tables

    def _step_others(self) -> None:
        """torch's own step, of all parameters that have a gradient."""
        step = super().step.__func__  # type: ignore[attr-defined]
        # Its hooks are those of the step() around it, which calls them.
        (step.__wrapped__ if getattr(step, "hooked", False) else step)(self)

    # --- unfused steps --------------------------------------------------------------------------

    def _check_takes_rows(self, group: dict[str, Any]) -> None:
        for name in ("differentiable", "capturable"):
            if group.get(name):
                raise ValueError(f"{self._name}: {name} must be False for a table, got True")

    def _check_gradient(self, param: Tensor, group: dict[str, Any], gradient: Tensor) -> None:
        self._check_takes_rows(group)
        if not gradient.is_sparse:
            self._check_up_to_date(param, None)
            return
        if gradient.sparse_dim() != 1 or gradient.dim() != 2:
            raise ValueError(
                f"{self._name}: a sparse gradient must be one of rows of a 2-D table, got "
                f"{gradient.sparse_dim()} sparse dimensions of shape {list(gradient.shape)}")
        self._check_up_to_date(param, gradient._indices()[0])

    def _check_up_to_date(self, param: Tensor, rows: Tensor | None) -> None:
        table, last_step = self._table_of(param), self._last_step(param)
        if table.row_steps is None:
            return
        steps = table.row_steps if rows is None else table.row_steps[rows]
        behind = (steps != last_step).nonzero().flatten()
        if behind.numel() != 0:
            row = int(behind[0] if rows is None else rows[behind[0]])
            raise RuntimeError(
                f"{self._name}: row {row} of a table {list(param.shape)} is up to date to step "
                f"{int(table.row_steps[row])} of {last_step}, so the forward pass read it as it "
                f"was then; attach() the nn.Embedding that reads it to the optimizer, or flush() "
                f"the optimizer before the forward pass")

    def _check_fused(self, param: Tensor) -> None:
        if getattr(self, "found_inf", None) is not None:
            raise RuntimeError(
                f"{self._name}: a fused table takes its step in the backward pass, before "
                f"GradScaler can undo its scale; unfuse() it")
        if param.grad is not None:
            raise RuntimeError(
                f"{self._name}: a fused table must have no gradient, but weight.grad is defined; "
                f"unfuse() it, or call zero_grad()")

    def _step_table(self, param: Tensor, group: dict[str, Any], gradient: Tensor) -> None:
        """The unfused step."""
        if getattr(self, "found_inf", None) is not None and float(self.found_inf) != 0:
            return
        if gradient.is_sparse:
            rows, values = gradient._indices()[0], gradient._values()
        else:
            values = self._as_rows(gradient.contiguous())
            rows = torch.arange(values.size(0), device=values.device)
        if getattr(self, "grad_scale", None) is not None:
            values = values / self.grad_scale
        if group["maximize"]:
            values = -values
        target, numbers = self._begin_step(param, group)
        if gradient.is_sparse and not gradient.is_coalesced():
            # Its entries are summed as those of a look-up are.
            torch.ops.rowlane.embedding_step_(*target, values, rows, self._rule, numbers)
        else:
            torch.ops.rowlane.row_step_(*target, rows, values.contiguous(), self._rule, numbers)
        self._end_step(param)

    # --- fused steps ----------------------------------------------------------------------------

    def _set_fused(self, weight: Tensor, is_fused: bool) -> None:
        table = self._table_of(weight)
        table.is_fused, table.has_fused_step = is_fused, False
        # Then GradScaler.step() lets step() know that it is there.
        has_fused = any(table.is_fused for table in self._tables.values())
        self._step_supports_amp_scaling = has_fused or bool(self.defaults.get("fused"))

    def _take_gradient(self, weight: Tensor, look_up: LookUp) -> None:
        """In the backward pass of a fused table."""
        table = self._table_of(weight)
        if not table.is_fused or table.has_fused_step:
            raise RuntimeError(
                "rowlane::nn::Embedding: a fused table takes its step in the backward pass, so "
                "there must be a step() of the optimizer between two backward passes; to "
                "accumulate gradients, unfuse() the table")
        self._backward_passes.add(weight, look_up)

    def _end_backward(self, all_look_ups: list[tuple[Tensor, LookUp]]) -> None:
        """The fused steps: each table takes one, by the sum of its look-ups."""
        # In the order of the parameters, as step() has it, so that random numbers are the same.
        steps = []
        for group in self.param_groups:
            for param in group["params"]:
                look_ups = [look_up for weight, look_up in all_look_ups if weight is param]
                if look_ups:
                    self._check_look_ups(param, look_ups)
                    steps.append((param, group, look_ups))
        for param, group, look_ups in steps:
            for look_up in look_ups:
                if look_up.step_of_forward != self._last_step(param):
                    self.catch_up(param, look_up.indices)
            look_up = joined(look_ups)
            gradient = -look_up.grad_output if group["maximize"] else look_up.grad_output
            target, numbers = self._begin_step(param, group)
            torch.ops.rowlane.embedding_step_(
                *target, gradient, look_up.indices, self._rule, numbers, look_up.padding_idx,
                look_up.scale_grad_by_freq)
            self._end_step(param)
            self._tables[param].has_fused_step = True

    def _check_look_ups(self, param: Tensor, look_ups: list[LookUp]) -> None:
        fused = "rowlane::nn::Embedding: a fused table "
        if param.grad is not None:
            raise RuntimeError(
                fused + "must have no gradient, but weight.grad is defined: weight was used "
                "elsewhere than in look-ups, or has a gradient from before it was fused; unfuse() "
                "the table, or call zero_grad()")
        if len(look_ups) > 1 and look_ups[0].scale_grad_by_freq:
            raise RuntimeError(
                fused + f"with scale_grad_by_freq can be looked up once in a backward pass, got "
                f"{len(look_ups)} look-ups")

    # --- any step -------------------------------------------------------------------------------

    def _begin_step(self, param: Tensor, group: dict[str, Any]
                    ) -> tuple[tuple[Any, ...], list[float]]:
        """The first arguments of the ops, and the numbers of the step."""
        table, row_steps, last_step = self._table_of(param), None, self._last_step(param)
        numbers = self._numbers(group, self._next_step(param, group))
        if group["per_row_steps"]:
            state = self.state[param]
            if "row_steps" not in state:
                state["row_steps"] = self._full_row_steps(param, last_step)
            row_steps = state["row_steps"]
        elif group["semantics"] == "dense_equivalent":
            if table.row_steps is None and not self._leaves_other_rows(numbers):
                table.row_steps = self._full_row_steps(param, last_step)
            row_steps = table.row_steps
            if row_steps is not None:
                table.history.add(numbers.to_list())
        tensors, master = self._state_tensors(param, group)
        seed = self._draw_seed(param, group)
        return (self._as_rows(param.detach()), tensors, row_steps, group["per_row_steps"], master,
                seed), numbers.to_list()

    def _end_step(self, param: Tensor) -> None:
        table = self._tables[param]
        if len(table.history) >= _MAX_HISTORY_LINES:
            self.catch_up(param)
            table.history.clear()
