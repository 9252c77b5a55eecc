"""Rowlane under torch's own names."""

from __future__ import annotations

from types import TracebackType

import torch
from torch import Tensor

from . import _library  # noqa: F401


class Accelerated:
    """What `accelerate` returns: undoes it, when asked to or at the end of a `with` block."""

    def undo(self) -> None:
        """Torch's own kernels are back."""
        torch.ops.rowlane.uninstall_aten_kernels()

    def __enter__(self) -> Accelerated:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.undo()


def accelerate() -> Accelerated:
    """Runs torch.nn.Embedding, F.embedding and all models made of them on Rowlane's kernels.

    Replaces torch's embedding kernels in the whole process, on the CPU and on GPUs, and says so in a
    line on stderr. Code that torch.compile generates by inductor doesn't call them and isn't
    affected. `accelerate().undo()` takes it back, and so does the end of `with accelerate():`.
    """
    torch.ops.rowlane.install_aten_kernels()
    return Accelerated()


def use_huge_pages(table: Tensor) -> None:
    """Asks Linux to hold a large table's memory in pages of 2 MiB, for faster look-ups.

    What it holds stays, and is moved in half a second to two per GB. For tensors of 8 MiB or more on the
    CPU; nothing happens to others. rowlane.nn.Embedding asks for the table that it makes, and
    optimizers for what they keep, before anything is written there, which costs nothing.
    """
    torch.ops.rowlane.use_huge_pages(table)


def synchronize() -> None:
    """Waits for the GPUs that Rowlane was called on.

    Raises IndexError if an index there was out of range, with the op, the position, the value and
    the number of rows.
    """
    torch.ops.rowlane.synchronize()
