"""Tied tables under torch's tools: the compiler, export, functional_call, other owners."""

import functools

import pytest
import torch
from training import ALL, DIM, NUM_ROWS, batches, make_rowlane

import rowlane
from rowlane import optim

EVERY = {**ALL, "SparseAdam": optim.SparseAdam}
HAVE_DENSE = ("SGD", "Adagrad", "Adam", "AdamW")
CASES = [(name, "lazy") for name in EVERY] + [(name, "dense_equivalent") for name in HAVE_DENSE]


class TwoTables(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.users = rowlane.nn.Embedding(NUM_ROWS, DIM, row_gradient=True)
        self.items = rowlane.nn.Embedding(NUM_ROWS, DIM, padding_idx=2, row_gradient=True)

    def forward(self, indices):
        return (self.users(indices) * self.items(indices.flip(0)).sin()).sum(-1).pow(2).sum()


@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
@pytest.mark.parametrize("name, semantics", CASES)
def test_compiled_is_eager(name, semantics, fused):
    results = []
    for compiled in (False, True):
        torch._dynamo.reset()
        model = TwoTables()
        optimizer = EVERY[name](model.parameters(), semantics=semantics)
        for table in (model.users, model.items):
            (table.fuse if fused else table.attach)(optimizer)
        forward, step = model, optimizer.step
        if compiled:
            forward = torch.compile(model, backend="eager")
            step = torch.compile(optimizer.step, backend="eager")
        for indices in batches(8):
            optimizer.zero_grad()
            forward(indices).backward()
            step()
        optimizer.flush()
        state = optimizer.state_dict()["state"]
        results.append([model.users.weight.detach(), model.items.weight.detach(),
                        *(value for number in sorted(state) for value in state[number].values()
                          if isinstance(value, torch.Tensor))])
    assert len(results[0]) == len(results[1])
    assert all(map(torch.equal, *results))


TIES = {"attached": lambda table, optimizer: table.attach(optimizer),
        "fused": lambda table, optimizer: table.fuse(optimizer),
        "unfused": lambda table, optimizer: table.fuse(optimizer).unfuse()}


@pytest.fixture(params=TIES)
def tied(request):
    model, optimizer = make_rowlane(
        functools.partial(optim.Adam, semantics="dense_equivalent"), False)
    TIES[request.param](model.table, optimizer)
    indices = torch.tensor([1, 2])
    model.loss(indices).backward()
    optimizer.step()
    optimizer.flush()
    optimizer.zero_grad()
    return model, optimizer


@pytest.mark.parametrize("strict", [False, True])
def test_export(tied, strict):
    model, _ = tied
    indices = torch.tensor([1, 2, 5])
    exported = torch.export.export(model.table, (indices,), strict=strict)
    assert torch.equal(exported.module()(indices), model.table.weight[indices])


def test_functional_call(tied):
    model, _ = tied
    indices, other = torch.tensor([1, 2]), torch.randn(NUM_ROWS, DIM, requires_grad=True)
    rows = torch.func.functional_call(model.table, {"weight": other}, (indices,))
    assert torch.equal(rows, other[indices])
    rows.sum().backward()
    assert other.grad.to_dense().sum() == 2 * DIM
    assert model.table.weight.grad is None


def test_functional_call_and_export_say_that_rows_are_behind():
    model, optimizer = make_rowlane(
        functools.partial(optim.Adam, semantics="dense_equivalent"), True)
    for row in (1, 2):
        model.loss(torch.tensor([row])).backward()
        optimizer.step()
        optimizer.zero_grad()
    other = {"weight": torch.zeros(NUM_ROWS, DIM)}
    with pytest.raises(RuntimeError, match=r"rowlane::nn::Embedding: rows of the table have steps "
                                           r"to catch up with; flush\(\) the optimizer"):
        torch.export.export(model.table, (torch.tensor([1]),))
    torch.func.functional_call(model.table, other, (torch.tensor([1]),))


def test_a_table_of_another_owner_trains_on(tied):
    model, optimizer = tied
    owner = torch.nn.Module()
    owner.moved = model.table
    del model.table
    owner.to(torch.float32)
    before = owner.moved.weight.detach().clone()
    owner.moved(torch.tensor([4])).sum().backward()
    optimizer.step()
    assert not torch.equal(owner.moved.weight[4], before[4])


def test_another_optimizer_takes_the_table_over(tied):
    model, first = tied
    second = optim.SGD(model.parameters(), lr=0.5)
    model.table.fuse(second)
    before = model.table.weight.detach().clone()
    model.table(torch.tensor([4])).sum().backward()
    second.step()
    first.step()
    torch.testing.assert_close(model.table.weight[4], before[4] - 0.5)


def test_unfuse_unties():
    model, optimizer = make_rowlane(
        functools.partial(optim.SGD, lr=0.1, momentum=0.9, semantics="dense_equivalent"), True)
    for row in (1, 2):
        model.table(torch.tensor([row])).sum().backward()
        optimizer.step()
    assert optimizer._engine.has_rows_behind(model.table.weight)
    model.table.unfuse()
    assert not optimizer._engine.has_rows_behind(model.table.weight)
    assert model.table._tie is None and not model.table._is_fused
    model.table.weight = torch.nn.Parameter(torch.zeros(NUM_ROWS, DIM))
    assert torch.equal(model.table(torch.tensor([1])), torch.zeros(1, DIM))
