"""Modules and functions with the names and arguments that torch.nn has."""

from . import functional
from .embedding import Embedding

__all__ = ["Embedding", "functional"]
