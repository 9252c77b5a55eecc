"""What an optimizer keeps for tables, and what torch does with an optimizer's state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import _library  # noqa: F401
from ._step_numbers import History, StepNumbers

_SEMANTICS = ("lazy", "dense_equivalent")
_ROW_OPTIONS = (
    "semantics", "per_row_steps", "stochastic_rounding", "master_weights", "state_dtype")


class Table:
    """What an optimizer knows of a table beside its state."""

    def __init__(self) -> None:
        # A fused table has no gradient, and takes one step between two of the optimizer.
        self.is_fused = False
        self.has_fused_step = False
        # With dense_equivalent: to which step each row is up to date, [V], and what came since.
        self.row_steps: Tensor | None = None
        self.history = History()


class TableOptimizer(torch.optim.Optimizer):
    """The state of tables; RowOptimizer has the steps."""

    _rule: str
    _has_dense_equivalent = False

    def __init__(self, *args: Any, semantics: str = "lazy", per_row_steps: bool = False,
                 stochastic_rounding: bool = False, master_weights: bool = False,
                 state_dtype: torch.dtype | None = None, **kwargs: Any) -> None:
        self._tables: dict[Tensor, Table] = {}
        self._row_options: dict[str, Any] = {
            "semantics": semantics, "per_row_steps": per_row_steps,
            "stochastic_rounding": stochastic_rounding, "master_weights": master_weights,
            "state_dtype": state_dtype}
        super().__init__(*args, **kwargs)
        self.defaults.update(self._row_options)

    # --- what an optimizer adds -----------------------------------------------------------------

    def _numbers(self, group: dict[str, Any], step: int) -> StepNumbers:
        raise NotImplementedError

    def _state_names(self, group: dict[str, Any]) -> list[str]:
        """The tensors [V, D] that the rule keeps, in its order."""
        return []

    def _per_row_state_names(self) -> list[str]:
        """The tensors [V] that come after them."""
        return []

    def _initial_value(self, group: dict[str, Any]) -> float:
        """Of what the rule keeps."""
        return 0.0

    def _next_step(self, param: Tensor, group: dict[str, Any]) -> int:
        """Counts a step in the parameter's state, as torch's optimizer does."""
        state = self.state[param]
        if "step" not in state:
            state["step"] = self._new_count()
        state["step"] += 1
        return int(state["step"])

    def _leaves_other_rows(self, numbers: StepNumbers) -> bool:
        """Whether a step with these numbers changes no row whose gradient is zero."""
        return False

    def _new_count(self) -> Tensor | int:
        return torch.tensor(0.0)

    def _as_rows(self, tensor: Tensor) -> Tensor:
        """A parameter, or what is kept for each of its elements, as [V, D]."""
        return tensor

    # --- torch's interface ----------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return f"rowlane::optim::{type(self).__name__}"

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
        groups = state_dict["param_groups"]
        if len(groups) == len(self.param_groups):
            groups = [{**saved, **{name: own[name] for name in self._row_options}}
                      for own, saved in zip(self.param_groups, groups)]
        super().load_state_dict({**state_dict, "param_groups": groups})
        # torch has given every tensor the type of the parameter.
        for own, saved in zip(self.param_groups, groups):
            for param, number in zip(own["params"], saved["params"]):
                for name, value in state_dict["state"].get(number, {}).items():
                    if isinstance(value, Tensor) and self._keeps_dtype(name, value, param, own):
                        self.state[param][name] = value.to(param.device, copy=True)
        for param, table in self._tables.items():
            table.row_steps = None
            table.history.clear()
            self._move_state(param)

    def _keeps_dtype(self, name: str, value: Tensor, param: Tensor, group: dict[str, Any]) -> bool:
        return (name in ("row_steps", "master") or name in self._per_row_state_names()
                or (name in self._state_names(group) and value.dtype == group["state_dtype"]))

    def __getstate__(self) -> dict[str, Any]:
        self.flush()
        return super().__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # A copy is fused with no table.
        self.__dict__.setdefault("_tables", {})
        if "_row_options" not in self.__dict__:
            self._row_options = {name: self.defaults[name] for name in _ROW_OPTIONS}
        for group in self.param_groups:
            self._check_options(group)

    # --- tables ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """Brings all rows of dense_equivalent tables up to date; others always are."""
        for param, table in self._tables.items():
            self.catch_up(param)
            table.history.clear()

    @torch.no_grad()
    def catch_up(self, weight: Tensor, indices: Tensor | None = None) -> None:
        """Brings rows of a dense_equivalent table up to date: those in indices [*], or all."""
        table = self._tables.get(weight)
        if table is None or len(table.history) == 0:
            return
        group = self._group_of(weight)
        state, master = self._state_tensors(weight, group)
        torch.ops.rowlane.row_catch_up_(
            weight.detach(), state, table.row_steps, master, self._draw_seed(weight, group),
            indices, self._rule, table.history.lines(), self._last_step(weight))

    def _group_of(self, weight: Tensor) -> dict[str, Any]:
        for group in self.param_groups:
            if any(param is weight for param in group["params"]):
                return group
        raise ValueError(f"{self._name}: weight must be one of the optimizer's parameters, got "
                         f"another tensor of shape {list(weight.shape)}")

    def _move_state(self, param: Tensor) -> None:
        """What torch has made or loaded, into huge pages."""
        for value in self.state.get(param, {}).values():
            if isinstance(value, Tensor):
                torch.ops.rowlane.use_huge_pages(value)

    def _full_row_steps(self, param: Tensor, step: int) -> Tensor:
        return torch.full((self._as_rows(param).size(0),), step, dtype=torch.int64,
                          device=param.device)

    def _table_of(self, param: Tensor) -> Table:
        if param not in self._tables:
            self._group_of(param)  # or there is none
            self._tables[param] = Table()
            self._move_state(param)
        return self._tables[param]

    def _last_step(self, param: Tensor) -> int:
        """How many steps were counted in the parameter's state."""
        return int(self.state.get(param, {}).get("step", 0))

    def _check_options(self, group: dict[str, Any]) -> None:
        semantics = group["semantics"]
        if semantics not in _SEMANTICS:
            raise ValueError(f"{self._name}: semantics must be lazy or dense_equivalent, got "
                             f"{semantics!r}")
        if semantics == "dense_equivalent" and not self._has_dense_equivalent:
            raise ValueError(f"{self._name}: semantics must be lazy: torch has no dense optimizer "
                             f"of this rule that dense_equivalent could equal")
        if semantics == "dense_equivalent" and group["per_row_steps"]:
            raise ValueError(f"{self._name}: per_row_steps must be False with dense_equivalent, in "
                             f"which every row takes every step")
        if group["stochastic_rounding"] and group["master_weights"]:
            raise ValueError(f"{self._name}: stochastic_rounding must be False with "
                             f"master_weights, which lose nothing when the table is rounded")
        if group["state_dtype"] not in (None, torch.float32):
            raise ValueError(f"{self._name}: state_dtype must be None or torch.float32, got "
                             f"{group['state_dtype']}")

    def _state_tensors(self, param: Tensor, group: dict[str, Any]
                       ) -> tuple[list[Tensor], Tensor | None]:
        """The tensors of the rule and the master copy, made when they are missing."""
        state = self.state[param]
        is_double = param.dtype == torch.float64
        dtype = param.dtype if is_double else group["state_dtype"] or param.dtype
        tensors = []
        for name in self._state_names(group):
            if state.get(name) is None:
                state[name] = _in_huge_pages(param, dtype).fill_(self._initial_value(group))
            if state[name].dtype != dtype:
                state[name] = state[name].to(dtype)
            tensors.append(self._as_rows(state[name]))
        for name in self._per_row_state_names():
            if name not in state:
                accumulate_dtype = torch.float64 if is_double else torch.float32
                state[name] = torch.full(
                    (self._as_rows(param).size(0),), self._initial_value(group),
                    dtype=accumulate_dtype, device=param.device)
            tensors.append(state[name])
        if not group["master_weights"] or not _is_16_bit(param):
            return tensors, None
        if "master" not in state:
            state["master"] = _in_huge_pages(param, torch.float32).copy_(param.detach())
        return tensors, self._as_rows(state["master"])

    def _draw_seed(self, param: Tensor, group: dict[str, Any]) -> int | None:
        if not group["stochastic_rounding"] or not _is_16_bit(param):
            return None
        return int(torch.randint(2**63 - 1, ()))


def _is_16_bit(param: Tensor) -> bool:
    return param.dtype in (torch.float16, torch.bfloat16)


def _in_huge_pages(like: Tensor, dtype: torch.dtype) -> Tensor:
    """A new tensor of that shape, which nothing has been written to."""
    tensor = torch.empty_like(like, dtype=dtype, requires_grad=False)
    torch.ops.rowlane.use_huge_pages(tensor)
    return tensor
