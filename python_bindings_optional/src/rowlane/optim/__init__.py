"""Optimizers that step on the looked-up rows of tables alone, under the names that torch has."""

from ._row_optimizer import RowOptimizer
from .like_torch import SGD, Adagrad, Adam, AdamW, SparseAdam
from .row_wise import LAMB, PartialRowWiseAdam, RowWiseAdagrad

__all__ = ["LAMB", "SGD", "Adagrad", "Adam", "AdamW", "PartialRowWiseAdam", "RowOptimizer",
           "RowWiseAdagrad", "SparseAdam"]
