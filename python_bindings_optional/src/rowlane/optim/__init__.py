"""Optimizers that step on the looked-up rows of tables alone, under the names that torch has."""

from ._row_optimizer import RowOptimizer
from .adagrad import Adagrad
from .adam import Adam, AdamW, SparseAdam
from .row_wise import LAMB, PartialRowWiseAdam, RowWiseAdagrad
from .sgd import SGD

__all__ = ["LAMB", "SGD", "Adagrad", "Adam", "AdamW", "PartialRowWiseAdam", "RowOptimizer",
           "RowWiseAdagrad", "SparseAdam"]
