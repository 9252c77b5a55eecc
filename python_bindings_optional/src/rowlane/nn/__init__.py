"""Modules and functions with the names and arguments that torch.nn has."""

from . import functional, utils
from .embedding import Embedding

__all__ = ["Embedding", "functional", "utils"]
