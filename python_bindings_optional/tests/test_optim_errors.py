"""Every error of the optimizers that a user can cause."""

import pytest
import torch
from training import Model

import rowlane
from rowlane import optim

WEIGHT = torch.nn.Parameter(torch.zeros(4, 2))


def table_of(**arguments):
    table = rowlane.nn.Embedding(4, 2, **arguments)
    table.fuse(optim.SGD(table.parameters(), master_weights=True))


@pytest.mark.parametrize("make, message", [
    (lambda: optim.Adam([WEIGHT], semantics="eager"),
     "rowlane::optim::Adam: semantics must be lazy or dense_equivalent, got 'eager'"),
    (lambda: optim.SparseAdam([WEIGHT], semantics="dense_equivalent"),
     "rowlane::optim::SparseAdam: semantics must be lazy: torch has no dense optimizer of this"),
    (lambda: optim.AdamW([WEIGHT], semantics="dense_equivalent", per_row_steps=True),
     "rowlane::optim::AdamW: per_row_steps must be false with dense_equivalent"),
    (lambda: optim.SGD([WEIGHT], state_dtype=torch.float64),
     "rowlane::optim::SGD: state_dtype must be None or torch.float32, got torch.float64"),
    (lambda: optim.SGD([WEIGHT], stochastic_rounding=True, master_weights=True),
     "rowlane::optim::SGD: stochastic_rounding must be false with master_weights"),
    (lambda: optim.LAMB([WEIGHT], betas=(0.9, 1.0)),
     r"rowlane::optim::LAMB: betas must be in \[0, 1\), got \(0.9, 1.0\)"),
    (lambda: optim.RowWiseAdagrad([WEIGHT], lr=-1),
     "rowlane::optim::RowWiseAdagrad: lr must be at least 0, got -1"),
    (lambda: rowlane.nn.Embedding(4, 2).fuse(optim.SGD([WEIGHT])),
     r"rowlane::optim::SGD: weight must be one of the optimizer's parameters, got another tensor "
     r"of shape \[4, 2\]"),
    (lambda: table_of(algorithm="atomic"),
     "rowlane::nn::Embedding::fuse: algorithm must be auto or sorted, got atomic"),
    (lambda: table_of(max_norm=1.0),
     "rowlane::nn::Embedding::fuse: max_norm must not be given with master_weights"),
    (lambda: table_of(sparse=True, scale_grad_by_freq=True),
     "rowlane::nn::Embedding::fuse: sparse and scale_grad_by_freq contradict each other"),
])
def test_wrong_options_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_optimizers_are_named():
    table = rowlane.nn.Embedding(4, 2)
    with pytest.raises(TypeError, match="rowlane::nn::Embedding: optimizer must be one of "
                                        "rowlane.optim, got SGD"):
        table.fuse(torch.optim.SGD(table.parameters()))
    other = rowlane.nn.Embedding(4, 2)
    other.weight = table.weight
    optimizer = optim.SGD(table.parameters())
    table.fuse(optimizer)
    with pytest.raises(ValueError, match="rowlane::nn::Embedding::fuse: weight is fused by another "
                                         "module already"):
        other.fuse(optimizer)


@pytest.mark.parametrize("name", ["differentiable", "capturable"])
def test_tables_refuse_what_their_steps_are_not(name):
    model = Model(row_gradient=True)
    optimizer = optim.Adam(model.parameters(), **{name: True})
    message = f"rowlane::optim::Adam: {name} must be False for a table, got True"
    with pytest.raises(ValueError, match=message):
        model.table.fuse(optimizer)
    model.loss(torch.tensor([1])).backward()
    with pytest.raises(ValueError, match=message):
        optimizer.step()


def test_sparse_adam_refuses_dense_gradients_as_torchs_does():
    table = torch.nn.Embedding(4, 2)
    optimizer = optim.SparseAdam(table.parameters())
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients"):
        optimizer.step()


def test_dense_equivalent_refuses_rows_that_were_not_up_to_date():
    model = Model(row_gradient=True)
    optimizer = optim.Adam(model.parameters(), semantics="dense_equivalent")
    model.loss(torch.tensor([1])).backward()
    optimizer.step()
    optimizer.zero_grad()
    model.loss(torch.tensor([2])).backward()
    with pytest.raises(RuntimeError, match=r"rowlane::optim::Adam: row 2 of a table \[30, 5\] is "
                                           r"up to date to step 0 of 1, so the forward pass read "
                                           r"it as it was then"):
        optimizer.step()


def test_dense_equivalent_refuses_a_dense_gradient_of_rows_that_were_not_up_to_date():
    model = Model(row_gradient=True)
    optimizer = optim.Adam(model.parameters(), semantics="dense_equivalent")
    model.loss(torch.tensor([1])).backward()
    optimizer.step()
    model.table.weight.grad = torch.zeros_like(model.table.weight)
    with pytest.raises(RuntimeError, match="rowlane::optim::Adam: row 0 of a table"):
        optimizer.step()
    optimizer.flush()
    optimizer.step()


def test_a_sparse_gradient_must_name_rows():
    vector = torch.nn.Parameter(torch.zeros(4))
    vector.grad = torch.sparse_coo_tensor([[1]], [1.0], (4,))
    with pytest.raises(ValueError, match=r"rowlane::optim::SGD: a sparse gradient must be one of "
                                         r"rows of a 2-D table, got 1 sparse dimensions of shape "
                                         r"\[4\]"):
        optim.SGD([vector]).step()
