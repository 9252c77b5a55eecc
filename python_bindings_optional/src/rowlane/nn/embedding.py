"""The module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..optim import RowOptimizer
from . import functional


# While it traces for torch.compile, too, the compiler takes torch's own function for true.
@torch.compiler.assume_constant_result
def _is_exporting() -> bool:
    return torch.compiler.is_exporting()


class Embedding(torch.nn.Embedding):
    """A torch.nn.Embedding whose forward and backward are Rowlane's.

    The same arguments, parameters and state, and two keyword arguments more: row_gradient and
    algorithm, as in rowlane.nn.functional.embedding.
    """

    # The optimizer and the weight that attach() and fuse() have tied.
    _tie: tuple[RowOptimizer, Tensor] | None = None
    _is_fused = False

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        row_gradient: bool = False,
        algorithm: str = "auto",
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type,
                         scale_grad_by_freq, sparse, _weight, _freeze, device, dtype)
        self.row_gradient = row_gradient
        self.algorithm = algorithm
        # What DistributedDataParallel goes by.
        self.sparse = self.sparse or row_gradient

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        row_gradient: bool = False,
        algorithm: str = "auto",
    ) -> Embedding:
        """As torch's: the table is `embeddings`, which isn't copied."""
        table = super().from_pretrained(embeddings, freeze, padding_idx, max_norm, norm_type,
                                        scale_grad_by_freq, sparse)
        table.row_gradient = row_gradient
        table.algorithm = algorithm
        table.sparse = sparse or row_gradient
        return table

    def reset_parameters(self) -> None:
        """As torch's. Brings a tied table up to date first."""
        self._flush()
        torch.ops.rowlane.use_huge_pages(self.weight)
        super().reset_parameters()

    def attach(self, optimizer: RowOptimizer) -> Embedding:
        """Ties the table to the optimizer, whose parameter `weight` must be; returns the module.

        From now on a look-up brings the rows that it reads up to date, as dense_equivalent needs
        it. Replaces an earlier attach() or fuse(). A copy of the module isn't tied.
        """
        self._check_optimizer(optimizer)
        optimizer._pull(self.weight)  # or it is none of its parameters
        self.unfuse()
        self._tie = (optimizer, self.weight)
        return self

    def fuse(self, optimizer: RowOptimizer) -> Embedding:
        """attach(), and the table takes its step in the backward pass; returns the module.

        No gradient of the table exists, of any shape, and weight.grad stays None. loss.backward()
        takes the step when it ends, with the numbers that the parameter group has then;
        optimizer.step() steps the other parameters. Several look-ups in one backward pass are
        summed first. Gradients can't be clipped or scaled between the two.

        Raises ValueError if weight isn't a parameter of the optimizer or is fused already, or for
        an algorithm other than "auto" and "sorted", or for max_norm with master_weights. What can't
        be right is a RuntimeError of the backward pass, which then takes no step: create_graph; a
        second backward pass before optimizer.step(); a gradient of weight from elsewhere than
        look-ups of this module, or asked for by torch.autograd.grad; scale_grad_by_freq with
        several look-ups. So is a forward pass when weight has hooks, which would see no gradient,
        or is part of a DistributedDataParallel, whose processes would train apart.
        """
        self._check_optimizer(optimizer)
        optimizer._pull(self.weight)
        if optimizer._engine.is_fused(self.weight) and not self._is_fused:
            raise ValueError("rowlane::nn::Embedding::fuse: weight is fused by another module "
                             "already")
        optimizer._check_fuse(self.weight, self.max_norm, self.scale_grad_by_freq,
                              self._asks_sparse, self.algorithm)
        self.attach(optimizer)
        optimizer._set_fused(self.weight, True)
        self._is_fused = True
        return self

    def unfuse(self) -> Embedding:
        """Undoes attach() and fuse(); returns the module.

        Rows are brought up to date, and the table has a gradient again. Nothing happens if the
        module isn't tied.
        """
        if self._tie is not None:
            optimizer, weight = self._tie
            optimizer.catch_up(weight)
            if self._is_fused:
                optimizer._set_fused(weight, False)
            self._tie, self._is_fused = None, False
        return self

    @property
    def _asks_sparse(self) -> bool:
        return self.sparse and not self.row_gradient

    def forward(self, input: Tensor) -> Tensor:
        if self._tie is not None:
            if not _is_exporting():
                return self._tied_forward(input)
            if self._has_rows_behind():
                raise RuntimeError(
                    "rowlane::nn::Embedding: rows of the table have steps to catch up with; "
                    "flush() the optimizer before torch.export")
        return self._untied_forward(input)

    def _untied_forward(self, input: Tensor) -> Tensor:
        return functional.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self._asks_sparse, row_gradient=self.row_gradient,
            algorithm=self.algorithm)

    @torch.compiler.disable
    def _tied_forward(self, input: Tensor) -> Tensor:
        assert self._tie is not None
        optimizer, weight = self._tie
        if not isinstance(self.weight, torch.nn.Parameter):
            # torch.func.functional_call has put a tensor there, whose gradient is its own.
            return self._untied_forward(input)
        if weight is not self.weight:
            raise RuntimeError(
                "rowlane::nn::Embedding: weight was replaced by another tensor since the table "
                "was attached to its optimizer; attach() or fuse() it again")
        return optimizer._look_up(
            weight, input, self._is_fused, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self._asks_sparse, self.row_gradient, self.algorithm)

    # Which the tracer of torch.export doesn't look into.
    @torch.compiler.assume_constant_result
    def _has_rows_behind(self) -> bool:
        assert self._tie is not None
        optimizer, weight = self._tie
        return bool(optimizer._engine.has_rows_behind(weight))

    def _check_optimizer(self, optimizer: RowOptimizer) -> None:
        if not isinstance(optimizer, RowOptimizer):
            raise TypeError(f"rowlane::nn::Embedding: optimizer must be one of rowlane.optim, got "
                            f"{type(optimizer).__name__}")

    def _flush(self) -> None:
        """Before the table is read or written as a whole."""
        if self._tie is not None:
            self._tie[0].catch_up(self._tie[1])

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        self._flush()
        return super()._apply(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._flush()
        super()._load_from_state_dict(*args, **kwargs)

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._flush()
        super()._save_to_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        self._flush()
        return {name: value for name, value in self.__dict__.items()
                if name not in ("_tie", "_is_fused")}

    def extra_repr(self) -> str:
        text = super().extra_repr()
        if self.row_gradient:
            text += ", row_gradient=True"
        if self.algorithm != "auto":
            text += f", algorithm={self.algorithm!r}"
        if self._is_fused:
            text += ", fused"
        return text
