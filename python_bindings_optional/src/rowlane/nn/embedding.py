"""The module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..optim import RowOptimizer
from ..optim._fused_look_up import LookUp, fused_look_up
from . import functional


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
        return table

    def reset_parameters(self) -> None:
        """As torch's."""
        torch.ops.rowlane.use_huge_pages(self.weight)
        super().reset_parameters()

    def attach(self, optimizer: RowOptimizer) -> Embedding:
        """Ties the table to the optimizer, whose parameter `weight` must be; returns the module.

        From now on a look-up brings the rows that it reads up to date, as dense_equivalent needs
        it. Replaces an earlier attach() or fuse(). A copy of the module isn't tied.
        """
        self._check_optimizer(optimizer)
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
        several look-ups. So is a forward pass when weight has hooks, which would see no gradient.
        """
        self._check_fuse(optimizer)
        self.attach(optimizer)
        optimizer._set_fused(self.weight, True)
        self._is_fused = True
        return self

    def _check_fuse(self, optimizer: RowOptimizer) -> None:
        self._check_optimizer(optimizer)
        fuse = "rowlane::nn::Embedding::fuse"
        if self.algorithm not in ("auto", "sorted"):
            raise ValueError(f"{fuse}: algorithm must be auto or sorted, got {self.algorithm}")
        if self.max_norm is not None and optimizer._group_of(self.weight)["master_weights"]:
            raise ValueError(f"{fuse}: max_norm must not be given with master_weights, which don't "
                             f"follow rows that are scaled")
        if self.sparse and self.scale_grad_by_freq:
            raise ValueError(f"{fuse}: sparse and scale_grad_by_freq contradict each other, fused "
                             f"or not")
        if optimizer._table_of(self.weight).is_fused and not self._is_fused:
            raise ValueError(f"{fuse}: weight is fused by another module already")
        optimizer._check_takes_rows(optimizer._group_of(self.weight))

    def unfuse(self) -> Embedding:
        """The table has a gradient again; still attached. Returns the module."""
        if self._is_fused:
            assert self._tie is not None
            optimizer, weight = self._tie
            optimizer._set_fused(weight, False)
            self._is_fused = False
        return self

    def forward(self, input: Tensor) -> Tensor:
        if self._tie is not None:
            optimizer, weight = self._tie
            if weight is not self.weight:
                raise RuntimeError(
                    "rowlane::nn::Embedding: weight was replaced by another tensor since the table "
                    "was attached to its optimizer; attach() or fuse() it again")
            optimizer.catch_up(weight, input)
            if self._is_fused and torch.is_grad_enabled() and weight.requires_grad:
                return self._fused_forward(input, optimizer, weight)
        return functional.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse, row_gradient=self.row_gradient,
            algorithm=self.algorithm)

    def _fused_forward(self, input: Tensor, optimizer: RowOptimizer, weight: Tensor) -> Tensor:
        if weight._backward_hooks or weight._post_accumulate_grad_hooks:
            raise RuntimeError("rowlane::nn::Embedding: a fused table must have no hooks, which "
                               "would see no gradient; unfuse() it")
        step_of_forward = optimizer._last_step(weight)
        padding_idx, scale_grad_by_freq = self.padding_idx, self.scale_grad_by_freq

        def take_gradient(grad_output: Tensor, indices: Tensor) -> None:
            optimizer._take_gradient(weight, LookUp(grad_output, indices, padding_idx,
                                                    scale_grad_by_freq, step_of_forward))

        functional._renorm(input, weight, self.max_norm, self.norm_type)
        return fused_look_up(weight, input, take_gradient)

    def _check_optimizer(self, optimizer: RowOptimizer) -> None:
        if not isinstance(optimizer, RowOptimizer):
            raise TypeError(f"rowlane::nn::Embedding: optimizer must be one of rowlane.optim, got "
                            f"{type(optimizer).__name__}")
        optimizer._table_of(self.weight)  # or it is none of its parameters

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        if self._tie is not None:
            self._tie[0].flush()
        super()._save_to_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        if self._tie is not None:
            self._tie[0].flush()
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
