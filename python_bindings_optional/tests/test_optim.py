"""The optimizers against torch's own, and against formulas in double where torch has none."""

import functools

import pytest
import torch
from training import DENSE, NUM_ROWS, Model, make_rowlane, train

import rowlane
from rowlane import optim


class SparseAdamAndAdam:
    """torch's SparseAdam refuses dense gradients."""

    def __init__(self, params, table_optimizer=torch.optim.SparseAdam):
        table, *others = params
        self.table = table_optimizer([table], 0.01)
        self.others = torch.optim.Adam(others, 0.01)

    def zero_grad(self):
        self.table.zero_grad()
        self.others.zero_grad()

    def step(self):
        self.table.step()
        self.others.step()


# --- against torch --------------------------------------------------------------------------------

LIKE_TORCHS = {
    "sgd": (optim.SGD, torch.optim.SGD, {"lr": 0.02}),
    "adagrad": (optim.Adagrad, torch.optim.Adagrad,
                {"lr": 0.05, "lr_decay": 0.01, "initial_accumulator_value": 0.1}),
}


@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
@pytest.mark.parametrize("name", LIKE_TORCHS)
def test_is_torchs_with_sparse_gradients(name, fused):
    ours, theirs, arguments = LIKE_TORCHS[name]
    model, optimizer = make_rowlane(functools.partial(ours, **arguments), fused)
    expected = Model(torch.nn.Embedding, sparse=True)
    expected_optimizer = theirs(expected.parameters(), **arguments)
    losses = train(model, optimizer)
    expected_losses = train(expected, expected_optimizer)
    torch.testing.assert_close(model.table.weight, expected.table.weight, rtol=0, atol=1e-6)
    torch.testing.assert_close(losses, expected_losses, rtol=1e-5, atol=1e-5)
    assert losses[-1] < losses[0] and expected_losses[1] != expected_losses[0]


@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
def test_is_torchs_sparse_adam(fused):
    expected = Model(torch.nn.Embedding, sparse=True)
    expected_optimizer = SparseAdamAndAdam(expected.parameters())
    model = Model(row_gradient=True)
    optimizer = SparseAdamAndAdam(model.parameters(), optim.SparseAdam)
    if fused:
        model.table.fuse(optimizer.table)
    losses = train(model, optimizer)
    torch.testing.assert_close(losses, train(expected, expected_optimizer), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.table.weight, expected.table.weight, rtol=0, atol=1e-6)
    state, = optimizer.table.state.values()
    expected_state, = expected_optimizer.table.state.values()
    # A pass without a look-up of a row is a step unless there is no backward pass at all.
    assert state.keys() == expected_state.keys() and state["step"] == expected_state["step"] == 200
    for name in ("exp_avg", "exp_avg_sq"):
        torch.testing.assert_close(state[name], expected_state[name], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
@pytest.mark.parametrize("name", DENSE)
def test_dense_equivalent_is_torchs_with_dense_gradients(name, fused):
    ours, theirs, arguments = DENSE[name]
    model, optimizer = make_rowlane(
        functools.partial(ours, **arguments, semantics="dense_equivalent"), fused)
    expected = Model(torch.nn.Embedding)
    expected_optimizer = theirs(expected.parameters(), **arguments)
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, 150)
                 for o in (optimizer, expected_optimizer)]
    losses = train(model, optimizer, after_step=schedules[0].step)
    expected_losses = train(expected, expected_optimizer, after_step=schedules[1].step)
    torch.testing.assert_close(losses, expected_losses, rtol=1e-5, atol=1e-5)
    # The rows that are looked up next are up to date in any case.
    behind = (model.table.weight - expected.table.weight).abs().max()
    optimizer.flush()
    torch.testing.assert_close(model.table.weight, expected.table.weight, rtol=0, atol=1e-6)
    if name != "adagrad":
        assert behind > 1e-6


def test_a_learning_rate_that_always_changes_keeps_a_bounded_history():
    model, optimizer = make_rowlane(
        functools.partial(optim.Adam, lr=0.01, semantics="dense_equivalent"), False)
    expected = Model(torch.nn.Embedding)
    expected_optimizer = torch.optim.Adam(expected.parameters(), lr=0.01)
    schedules = [torch.optim.lr_scheduler.ExponentialLR(o, 0.999)
                 for o in (optimizer, expected_optimizer)]
    lengths = []

    def after_step():
        schedules[0].step()
        lengths.append(optimizer._engine.num_history_lines(model.table.weight))

    train(model, optimizer, steps=4200, after_step=after_step)
    train(expected, expected_optimizer, steps=4200, after_step=schedules[1].step)
    assert max(lengths) == 4095 and lengths[-1] < 200
    optimizer.flush()
    torch.testing.assert_close(model.table.weight, expected.table.weight, rtol=0, atol=1e-6)


@pytest.mark.parametrize("way", ["fused", "dense gradient"])
def test_dense_equivalent_of_other_gradients(way):
    """Of rows that were read before the step that came last; of gradients that are dense."""
    tables = []
    for module in (rowlane.nn.Embedding, torch.nn.Embedding):
        torch.manual_seed(0)
        table = module(6, 3)
        arguments = {"lr": 0.1, "momentum": 0.9}
        if module is rowlane.nn.Embedding:
            optimizer = optim.SGD(table.parameters(), semantics="dense_equivalent", **arguments)
            (table.fuse if way == "fused" else table.attach)(optimizer)
        else:
            optimizer = torch.optim.SGD(table.parameters(), **arguments)
        for indices in ([0, 1], [2, 3, 1]):
            first, second = table(torch.tensor(indices)), table(torch.tensor([4, 1]))
            for rows in (first, second):
                optimizer.zero_grad()
                rows.sum().backward()
                optimizer.step()
        if module is rowlane.nn.Embedding:
            optimizer.flush()
        tables.append(table.weight.detach())
    torch.testing.assert_close(*tables, rtol=0, atol=1e-6)


def test_lazy_leaves_other_rows_alone():
    make = functools.partial(optim.AdamW, lr=0.01, weight_decay=0.1)
    model, optimizer = make_rowlane(make, False)
    before = model.table.weight.detach().clone()
    for _ in range(3):
        model.loss(torch.tensor([1, 4, 4])).backward()
        optimizer.step()
    others = torch.ones(NUM_ROWS, dtype=torch.bool)
    others[[1, 4]] = False
    assert torch.equal(model.table.weight[others], before[others])
    assert not torch.equal(model.table.weight[[1, 4]], before[[1, 4]])


# --- against formulas -----------------------------------------------------------------------------

def rowwise_adagrad(w, g, state, t):
    g = g + 0.1 * w
    state["sum"] = state.get("sum", torch.zeros(len(w), dtype=w.dtype)) + g.pow(2).mean(1)
    return w - 0.05 * g / (state["sum"].sqrt() + 1e-8)[:, None]


def moments(g, state, second):
    state["m"] = 0.9 * state.get("m", torch.zeros_like(g)) + 0.1 * g
    state["v"] = 0.99 * state.get("v", torch.zeros_like(second)) + 0.01 * second
    return state["m"], state["v"]


def partial_rowwise_adam(w, g, state, t):
    m, v = moments(g, state, g.pow(2).mean(1, keepdim=True))
    w = w * (1 - 0.05 * 0.1)
    return w - 0.05 * m / (1 - 0.9**t) / ((v / (1 - 0.99**t)).sqrt() + 1e-8)


def lamb(w, g, state, t):
    m, v = moments(g, state, g.pow(2))
    r = m / (1 - 0.9**t) / ((v / (1 - 0.99**t)).sqrt() + 1e-8) + 0.1 * w
    norms = w.norm(dim=1, keepdim=True), r.norm(dim=1, keepdim=True)
    ratio = torch.where((norms[0] > 0) & (norms[1] > 0), norms[0] / norms[1], 1.0)
    return w - 0.05 * ratio * r


FORMULAS = {
    "RowWiseAdagrad": (optim.RowWiseAdagrad, {}, rowwise_adagrad),
    "PartialRowWiseAdam": (optim.PartialRowWiseAdam, {"betas": (0.9, 0.99)}, partial_rowwise_adam),
    "LAMB": (optim.LAMB, {"betas": (0.9, 0.99), "eps": 1e-8}, lamb),
}


@pytest.mark.parametrize("per_row_steps", [False, True], ids=["table_steps", "row_steps"])
@pytest.mark.parametrize("name", FORMULAS)
def test_is_the_formula(name, per_row_steps):
    make, arguments, formula = FORMULAS[name]
    torch.manual_seed(0)
    table = rowlane.nn.Embedding(6, 4, row_gradient=True)
    expected = table.weight.detach().double()
    optimizer = make([table.weight], lr=0.05, weight_decay=0.1, per_row_steps=per_row_steps,
                     **arguments)
    states = [{} for _ in range(6)]
    counts = [0] * 6
    for step in range(1, 40):
        indices = torch.randint(6, (3,))
        factors = torch.randn(3, 4)
        optimizer.zero_grad()
        (table(indices) * factors).sum().backward()
        optimizer.step()
        gradient = torch.zeros(6, 4, dtype=torch.float64).index_add_(0, indices, factors.double())
        for row in indices.unique().tolist():
            counts[row] += 1
            w, g = expected[row:row + 1], gradient[row:row + 1]
            expected[row] = formula(w, g, states[row], counts[row] if per_row_steps else step)[0]
    torch.testing.assert_close(table.weight.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", FORMULAS)
def test_dense_gradients_are_steps_of_all_rows(name):
    make, arguments, formula = FORMULAS[name]
    torch.manual_seed(0)
    matrix, vector = torch.nn.Parameter(torch.randn(3, 4)), torch.nn.Parameter(torch.randn(5))
    # A vector is one row of LAMB's and rows of one number for the others.
    as_rows = (lambda v: v[None]) if name == "LAMB" else (lambda v: v[:, None])
    expected = [matrix.detach().double(), as_rows(vector.detach().double())]
    optimizer = make([matrix, vector], lr=0.05, weight_decay=0.1, **arguments)
    states = [{}, {}]
    for step in range(1, 10):
        matrix.grad, vector.grad = torch.randn(3, 4), torch.randn(5)
        optimizer.step()
        gradients = matrix.grad.double(), as_rows(vector.grad.double())
        for i in range(2):
            expected[i] = formula(expected[i], gradients[i], states[i], step)
    torch.testing.assert_close(matrix.double(), expected[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(as_rows(vector.double()), expected[1], rtol=0, atol=1e-5)


def test_per_row_steps_correct_the_bias_of_each_row():
    tables = []
    for rows in ([[0], [1]], [[1]]):
        torch.manual_seed(0)
        table = rowlane.nn.Embedding(2, 3, row_gradient=True)
        optimizer = optim.Adam([table.weight], 0.1, per_row_steps=True)
        for row in rows:
            optimizer.zero_grad()
            table(torch.tensor(row)).sum().backward()
            optimizer.step()
        tables.append(table.weight.detach()[1])
    assert torch.equal(*tables)
    assert optimizer.state_dict()["state"][0]["row_steps"].tolist() == [0, 1]
