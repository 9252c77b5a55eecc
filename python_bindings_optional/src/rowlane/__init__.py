"""Embedding look-ups for torch: fast, deterministic, for any dim and dtype.

    import rowlane
    table = rowlane.nn.Embedding(1000, 64)      # a torch.nn.Embedding with Rowlane's kernels
    rowlane.accelerate()                        # or: every torch.nn.Embedding of this process
    rowlane.optim.Adam(model.parameters())      # a torch.optim.Adam that steps on rows alone
"""

from . import nn, optim
from ._accelerate import accelerate, synchronize, use_huge_pages

__all__ = ["accelerate", "nn", "optim", "synchronize", "use_huge_pages"]
