"""Embedding look-ups for torch: fast, deterministic, for any dim and dtype.

    import rowlane
    table = rowlane.nn.Embedding(1000, 64)      # a torch.nn.Embedding with Rowlane's kernels
    rowlane.accelerate()                        # or: every torch.nn.Embedding of this process
"""

from . import nn
from ._accelerate import accelerate, synchronize

__all__ = ["accelerate", "nn", "synchronize"]
