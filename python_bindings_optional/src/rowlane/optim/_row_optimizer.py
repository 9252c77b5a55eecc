"""torch's interface of an optimizer around the engine of row steps, which is C++ (csrc/optim)."""

from __future__ import annotations

import operator
from typing import Any, Callable

import torch
from torch import Tensor

from .. import _library  # noqa: F401

_SEMANTICS = ("lazy", "dense_equivalent")
_ROW_OPTIONS = (
    "semantics", "per_row_steps", "stochastic_rounding", "master_weights", "state_dtype")


# "is", as a function. A count that is a tensor is read when it is another tensor.
_is = operator.is_


class RowOptimizer(torch.optim.Optimizer):
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
        Adagrad, Adam and AdamW. Whoever writes to a part of a table calls flush() first: steps that
        rows have missed by then are dropped, with a warning, since the numbers that they belong to
        are gone. Module.load_state_dict, reset_parameters and to() of an attached module, and
        load_state_dict of the optimizer, bring rows up to date by themselves.
    per_row_steps: bias is corrected by how many steps the row itself has taken, and not by how many
        the table has. Not with dense_equivalent.
    stochastic_rounding: tables of float16 or bfloat16 are rounded up or down at random, so that the
        mean is right. One draw for each step from torch's default generator of the CPU, so
        torch.manual_seed replays it. Not with master_weights.
    master_weights: tables of float16 or bfloat16 have a copy in float32, which takes the steps; the
        table is that copy, rounded. What is written to the table is written to the copy.
    state_dtype: of tensors [V, D]: None for the table's own, as in torch, or torch.float32. What is
        kept once per row is float32 always (float64 for float64).

    Raises ValueError for options that contradict. differentiable and capturable must be False for a
    table; foreach and fused choose how torch takes the steps of the other parameters. torch.compile
    leaves step() to Python.
    """

    _rule: str
    _is_decoupled = False
    # What the engine does with dense gradients of parameters that are no tables.
    _dense_gradients = "torch"

    def __init__(self, *args: Any, semantics: str = "lazy", per_row_steps: bool = False,
                 stochastic_rounding: bool = False, master_weights: bool = False,
                 state_dtype: torch.dtype | None = None, **kwargs: Any) -> None:
        self._make_engine()
        self._row_options: dict[str, Any] = {
            "semantics": semantics, "per_row_steps": per_row_steps,
            "stochastic_rounding": stochastic_rounding, "master_weights": master_weights,
            "state_dtype": state_dtype}
        super().__init__(*args, **kwargs)
        self.defaults.update(self._row_options)

    @property
    def _name(self) -> str:
        return f"rowlane::optim::{type(self).__name__}"

    def _make_engine(self) -> None:
        self._engine = torch.classes.rowlane.RowOptimizer(
            self._name, self._rule, self._dense_gradients)
        self._state_names: list[str] = self._engine.state_names()
        # What the engine was told last, of each table: a call costs microseconds.
        self._told: dict[Tensor, tuple[list[Any], list[Any]]] = {}

    # --- torch's interface ----------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        for name, value in self._row_options.items():
            param_group.setdefault(name, value)
        self._check_options(param_group)
        super().add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        """As torch's, after a flush()."""
        self.flush()
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the state of this optimizer or of torch's of the same name. Row options stay."""
        self.flush()
        groups = state_dict["param_groups"]
        if len(groups) == len(self.param_groups):
            groups = [{**saved, **{name: own[name] for name in self._row_options}}
                      for own, saved in zip(self.param_groups, groups)]
        super().load_state_dict({**state_dict, "param_groups": groups})
        # torch has given every tensor the type of the parameter; the engine gives what it keeps
        # the right one.
        for own, saved in zip(self.param_groups, groups):
            for param, number in zip(own["params"], saved["params"]):
                for name, value in state_dict["state"].get(number, {}).items():
                    if isinstance(value, Tensor) and name in (
                            *self._state_names, "row_steps", "master"):
                        self.state[param][name] = value.to(param.device, copy=True)
        for param, group in self._tables():
            self._pull(param, group)
            self._engine.allow_fused_step(param)

    def __getstate__(self) -> dict[str, Any]:
        self.flush()
        return super().__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_engine" not in self.__dict__:  # a copy, which is fused with no table
            self._make_engine()
        if "_row_options" not in self.__dict__:
            self._row_options = {name: self.defaults[name] for name in _ROW_OPTIONS}
        for group in self.param_groups:
            self._check_options(group)

    # The compiler's tracer would follow the engine's calls; they are Python's, once per table.
    @torch.compiler.disable
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """As torch's. A fused table has taken its step in the backward pass."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        tables, fused, others = [], [], []
        for group in self.param_groups:
            for param in group["params"]:
                if param in self._told and self._engine.is_fused(param):
                    self._check_fused(param)
                    fused.append(param)
                elif param.grad is not None and self._is_table(param):
                    tables.append((param, param.grad))
                    self._pull(param, group)
                    self._check_takes_rows(group)
                    self._engine.check_gradient(param, param.grad)
                elif param.grad is not None:
                    others.append(param)
        if others:
            try:
                # torch's own step passes by a parameter without a gradient.
                for param, _ in tables:
                    param.grad = None
                self._step_others()
            finally:
                for param, gradient in tables:
                    param.grad = gradient
        found_inf = getattr(self, "found_inf", None)
        if found_inf is None or float(found_inf) == 0:
            for param, gradient in tables:
                self._engine.step(param, gradient, getattr(self, "grad_scale", None))
                self._push(param)
        for param in fused:
            self._push(param)
            self._engine.allow_fused_step(param)
        return loss

    def _is_table(self, param: Tensor) -> bool:
        assert param.grad is not None
        return param.grad.is_sparse or (self._dense_gradients == "all_rows"
                                        or param in self._told)

    def _step_others(self) -> None:
        """torch's own step, of all parameters that have a gradient."""
        step = super().step.__func__  # type: ignore[attr-defined]
        # Its hooks are those of the step() around it, which calls them.
        (step.__wrapped__ if getattr(step, "hooked", False) else step)(self)

    # --- rows -----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Brings all rows of dense_equivalent tables up to date; others always are."""
        for param, group in self._tables():
            self._pull(param, group)
            self._engine.flush(param)
            self._push(param)

    @torch.no_grad()
    def catch_up(self, weight: Tensor, indices: Tensor | None = None) -> None:
        """Brings rows of a dense_equivalent table up to date: those in indices [*], or all."""
        if weight not in self._told:
            return
        if indices is None:
            self._engine.flush(weight)
        else:
            self._engine.catch_up(weight, indices)

    # --- the engine's knowledge of a parameter --------------------------------------------------

    def _tables(self) -> list[tuple[Tensor, dict[str, Any]]]:
        return [(param, group) for group in self.param_groups for param in group["params"]
                if param in self._told]

    def _find(self, weight: Tensor) -> tuple[int, dict[str, Any]]:
        """The position among the optimizer's parameters, and the group."""
        position = 0
        for group in self.param_groups:
            for param in group["params"]:
                if param is weight:
                    return position, group
                position += 1
        raise ValueError(f"{self._name}: weight must be one of the optimizer's parameters, got "
                         f"another tensor of shape {list(weight.shape)}")

    def _pull(self, param: Tensor, group: dict[str, Any] | None = None) -> None:
        """Tells the engine what the group and the state say, and makes the parameter a table."""
        told_group, told_state = self._told.get(param, ([], []))
        position = -1
        if group is None or not told_group:
            position, group = self._find(param)
        new_group = [self._settings(group), self._options(group)]
        if new_group != told_group:
            self._engine.set_group(param, position, *new_group)
        new_state = self._state_list(param)
        if len(new_state) != len(told_state) or not all(map(_is, new_state, told_state)):
            *tensors, step, row_steps, master = new_state
            self._engine.set_state(param, tensors, int(step or 0), row_steps, master)
        self._told[param] = (new_group, new_state)

    def _state_list(self, param: Tensor) -> list[Any]:
        state = self.state[param] if param in self.state else {}
        return [state.get(name) for name in (*self._state_names, "step", "row_steps", "master")]

    def _push(self, param: Tensor) -> None:
        """Takes what has become of the state."""
        tensors, num_steps, row_steps, master = self._engine.state(param)
        named = [*zip(self._state_names, tensors), ("row_steps", row_steps), ("master", master)]
        kept = {name: tensor for name, tensor in named if tensor is not None}
        if not kept and num_steps == 0:
            return  # a state without an entry is one too many for distributed checkpoints
        state = self.state[param]
        state.update(kept)
        if num_steps > 0:
            self._count(state, num_steps)
        self._told[param] = (self._told[param][0], self._state_list(param))

    def _count(self, state: dict[str, Any], num_steps: int) -> None:
        """As torch's optimizer of the rule does it, whatever the default dtype is."""
        step = state.get("step")
        if isinstance(step, Tensor) and step.dtype in (torch.float32, torch.float64):
            step.fill_(num_steps)
        else:
            state["step"] = torch.tensor(float(num_steps), dtype=torch.float32)

    def _settings(self, group: dict[str, Any]) -> list[float]:
        """What csrc/optim/step_settings.h calls so, of any rule."""
        beta1, beta2 = group.get("betas") or (group.get("momentum", 0), group.get("dampening", 0))
        return [float(value) for value in (
            group["lr"], group.get("weight_decay", 0),
            group.get("decoupled_weight_decay", self._is_decoupled),
            beta1, beta2, group.get("eps", 0), group.get("nesterov", False),
            group.get("lr_decay", 0), group.get("initial_accumulator_value", 0),
            group.get("amsgrad", False), group.get("maximize", False))]

    def _options(self, group: dict[str, Any]) -> list[bool]:
        return [group["semantics"] == "dense_equivalent", bool(group["per_row_steps"]),
                bool(group["stochastic_rounding"]), bool(group["master_weights"]),
                group["state_dtype"] is torch.float32]

    def _check_options(self, group: dict[str, Any]) -> None:
        if group["semantics"] not in _SEMANTICS:
            raise ValueError(f"{self._name}: semantics must be lazy or dense_equivalent, got "
                             f"{group['semantics']!r}")
        if group["state_dtype"] not in (None, torch.float32):
            raise ValueError(f"{self._name}: state_dtype must be None or torch.float32, got "
                             f"{group['state_dtype']}")
        self._engine.check_group(self._options(group))

    def _check_takes_rows(self, group: dict[str, Any]) -> None:
        for name in ("differentiable", "capturable"):
            if group.get(name):
                raise ValueError(f"{self._name}: {name} must be False for a table, got True")

    # --- fused tables ---------------------------------------------------------------------------

    def _check_fuse(self, weight: Tensor, *options: Any) -> None:
        self._check_takes_rows(self._find(weight)[1])
        self._engine.check_fuse(weight, *options)

    def _set_fused(self, weight: Tensor, is_fused: bool) -> None:
        self._engine.set_fused(weight, is_fused)
        # Then GradScaler.step() lets step() know that it is there.
        has_fused = any(self._engine.is_fused(param) for param, _ in self._tables())
        self._step_supports_amp_scaling = has_fused or bool(self.defaults.get("fused"))

    def _check_fused(self, param: Tensor) -> None:
        if getattr(self, "found_inf", None) is not None:
            raise RuntimeError(
                f"{self._name}: a fused table takes its step in the backward pass, before "
                f"GradScaler can undo its scale; unfuse() it")
        self._engine.check_has_no_gradient(param)

    def _look_up(self, weight: Tensor, input: Tensor, is_fused: bool, *options: Any) -> Tensor:
        """A look-up of a tied module."""
        rows: Tensor = self._engine.look_up(weight, input, is_fused, *options)
        if is_fused and rows.requires_grad:
            # The engine takes the step with the numbers that the group has in the backward pass,
            # which C++ can't see in a dict.
            rows.register_hook(lambda _: self._pull(weight))
        return rows
