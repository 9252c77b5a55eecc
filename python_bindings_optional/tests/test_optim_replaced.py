"""Tables and states that somebody else writes to, or replaces, between steps."""

import functools
import warnings

import pytest
import torch
from training import DIM, NUM_ROWS, Model, make_rowlane, train

import rowlane
from rowlane import optim

RULES = {
    "sgd": (optim.SGD, torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    "adagrad": (optim.Adagrad, torch.optim.Adagrad, {"lr": 0.05}),
    "adam": (optim.Adam, torch.optim.Adam, {"lr": 0.02}),
    "adamw": (optim.AdamW, torch.optim.AdamW, {"lr": 0.02, "weight_decay": 0.1}),
}
NEW = torch.linspace(-1, 1, NUM_ROWS * DIM).view(NUM_ROWS, DIM)


def copied(model):
    with torch.no_grad():
        model.table.weight.copy_(NEW)


def loaded(model):
    model.table.load_state_dict({"weight": NEW})


def reset(model):
    torch.manual_seed(7)
    model.table.reset_parameters()


def data_replaced(model):
    model.table.weight.data = NEW.clone()


@pytest.mark.filterwarnings("ignore:.*was written to while rows")
@pytest.mark.parametrize("fused", [False, True], ids=["attached", "fused"])
@pytest.mark.parametrize("replace", [copied, loaded, reset, data_replaced])
@pytest.mark.parametrize("name", RULES)
def test_missed_steps_are_of_the_numbers_that_were_there(name, replace, fused):
    ours, theirs, arguments = RULES[name]
    model, optimizer = make_rowlane(
        functools.partial(ours, **arguments, semantics="dense_equivalent"), fused)
    expected = Model(torch.nn.Embedding)
    expected_optimizer = theirs(expected.parameters(), **arguments)
    for trained, by in ((model, optimizer), (expected, expected_optimizer)):
        train(trained, by, steps=9)
        replace(trained)
    with torch.no_grad():
        rows = model.table(torch.arange(NUM_ROWS))
    assert torch.equal(rows, expected.table.weight)
    for trained, by in ((model, optimizer), (expected, expected_optimizer)):
        train(trained, by, steps=9)
    optimizer.flush()
    torch.testing.assert_close(model.table.weight, expected.table.weight, rtol=0, atol=1e-5)


def test_says_that_missed_steps_are_dropped():
    model, optimizer = make_rowlane(
        functools.partial(optim.Adam, semantics="dense_equivalent"), False)
    train(model, optimizer, steps=9)
    optimizer.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copied(model)
        train(model, optimizer, steps=2)
    copied(model)
    with pytest.warns(UserWarning, match=r"rowlane::optim::Adam: a table \[30, 5\] was written to "
                                         r"while rows of it had steps to catch up with"):
        model.table(torch.tensor([1]))


def test_max_norm_replaces_nothing():
    models = []
    for module in (rowlane.nn.Embedding, torch.nn.Embedding):
        model = Model(module, max_norm=0.5)
        arguments = {"lr": 0.05, "momentum": 0.9}
        if module is torch.nn.Embedding:
            optimizer = torch.optim.SGD(model.parameters(), **arguments)
        else:
            optimizer = optim.SGD(model.parameters(), semantics="dense_equivalent", **arguments)
            model.table.row_gradient = True
            model.table.attach(optimizer)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            train(model, optimizer, steps=30)
        models.append(model)
    optimizer_of_ours = models[0].table._tie[0]
    optimizer_of_ours.flush()
    torch.testing.assert_close(models[0].table.weight, models[1].table.weight, rtol=0, atol=1e-5)


@pytest.mark.parametrize("semantics", ["lazy", "dense_equivalent"])
@pytest.mark.parametrize("replace", [copied, loaded])
def test_copies_in_float_follow_the_table(replace, semantics):
    model, optimizer = make_rowlane(
        functools.partial(optim.SGD, lr=0.5, master_weights=True, semantics=semantics), False,
        dtype=torch.bfloat16)
    train(model, optimizer, steps=3)
    optimizer.flush()
    kept = optimizer.state[model.table.weight]["master"][4].clone()
    with torch.no_grad():
        row = model.table.weight[4].clone()
    replace(model)
    with torch.no_grad():
        model.table.weight[4] = row  # as it was: its copy keeps what rounding took
    optimizer.zero_grad()
    model.table(torch.tensor([1])).sum().backward()
    optimizer.step()
    expected = NEW.bfloat16()
    expected[4] = row
    expected[1] = (expected[1].float() - 0.5).bfloat16()
    assert torch.equal(model.table.weight, expected)
    assert torch.equal(optimizer.state[model.table.weight]["master"][4], kept)


def test_the_count_of_steps_does_not_follow_the_default_dtype():
    torch.set_default_dtype(torch.bfloat16)
    try:
        table = rowlane.nn.Embedding(4, 2, row_gradient=True)
        optimizer = optim.Adam(table.parameters())
        for _ in range(300):
            optimizer.zero_grad()
            table(torch.tensor([1])).sum().backward()
            optimizer.step()
    finally:
        torch.set_default_dtype(torch.float32)
    assert optimizer.state[table.weight]["step"] == 300
    # A state whose count has a dtype in which it can't grow goes on to count.
    optimizer.state[table.weight]["step"] = torch.tensor(256, dtype=torch.bfloat16)
    for _ in range(4):
        optimizer.step()
    assert optimizer.state[table.weight]["step"] == 260


def test_takes_the_sparse_momentum_buffer_that_torch_writes():
    theirs = Model(torch.nn.Embedding, sparse=True)
    arguments = {"lr": 0.05, "momentum": 0.9}
    their_optimizer = torch.optim.SGD(theirs.parameters(), **arguments)
    train(theirs, their_optimizer, steps=3)
    assert their_optimizer.state[theirs.table.weight]["momentum_buffer"].is_sparse
    dense = Model(torch.nn.Embedding)
    dense_optimizer = torch.optim.SGD(dense.parameters(), **arguments)
    train(dense, dense_optimizer, steps=3)
    model, optimizer = make_rowlane(
        functools.partial(optim.SGD, **arguments, semantics="dense_equivalent"), False)
    optimizer.load_state_dict(their_optimizer.state_dict())
    model.load_state_dict(theirs.state_dict())
    for trained, by in ((model, optimizer), (dense, dense_optimizer)):
        train(trained, by, steps=5)
    optimizer.flush()
    torch.testing.assert_close(model.table.weight, dense.table.weight, rtol=0, atol=1e-6)


def test_a_state_without_an_entry_is_none():
    table = rowlane.nn.Embedding(4, 2, row_gradient=True)
    for fused in (False, True):
        optimizer = optim.SGD(table.parameters(), lr=0.1)
        (table.fuse if fused else table.attach)(optimizer)
        table(torch.tensor([1])).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        assert optimizer.state_dict()["state"] == {}


def test_a_load_ends_the_fused_step_that_came_before_it():
    model, optimizer = make_rowlane(optim.Adam, True)
    saved = optimizer.state_dict()
    model.loss(torch.tensor([1])).backward()
    optimizer.load_state_dict(saved)
    model.loss(torch.tensor([1])).backward()  # not the second one without a step() between
    optimizer.step()
    assert optimizer.state[model.table.weight]["step"] == 1


def test_a_load_catches_rows_up_first():
    """What is loaded belongs to the next step; what was missed, to the numbers that are there."""
    arguments = {"lr": 0.05, "momentum": 0.9}
    results = []
    for ours in (True, False):
        model = Model(row_gradient=True) if ours else Model(torch.nn.Embedding)
        optimizer = (optim.SGD(model.parameters(), semantics="dense_equivalent", **arguments)
                     if ours else torch.optim.SGD(model.parameters(), **arguments))
        if ours:
            model.table.attach(optimizer)
        train(model, optimizer, steps=3)
        saved = optimizer.state_dict()
        saved = {**saved, "state": {number: {name: value.clone() for name, value in state.items()}
                                    for number, state in saved["state"].items()}}
        train(model, optimizer, steps=9)
        optimizer.load_state_dict(saved)
        train(model, optimizer, steps=9)
        if ours:
            optimizer.flush()
        results.append(model.table.weight.detach())
    torch.testing.assert_close(*results, rtol=0, atol=1e-5)


def test_options_of_a_group_may_change():
    model, optimizer = make_rowlane(
        functools.partial(optim.SGD, lr=0.05, momentum=0.9, semantics="dense_equivalent"), False)
    expected = Model(torch.nn.Embedding)
    expected_optimizer = torch.optim.SGD(expected.parameters(), lr=0.05, momentum=0.9)
    train(model, optimizer, steps=9)
    train(expected, expected_optimizer, steps=9)
    optimizer.param_groups[0]["semantics"] = "lazy"
    optimizer.zero_grad()
    model.loss(torch.tensor([1])).backward()
    optimizer.step()
    others = torch.ones(NUM_ROWS, dtype=torch.bool)
    others[1] = False
    # The steps that were missed as dense ones are taken; the last is lazy.
    torch.testing.assert_close(model.table.weight[others], expected.table.weight[others],
                               rtol=0, atol=1e-6)


def test_a_state_that_is_replaced_stays_so():
    model, optimizer = make_rowlane(optim.Adam, False)
    train(model, optimizer, steps=3)
    state = optimizer.state[model.table.weight]
    state["exp_avg"] = torch.zeros(NUM_ROWS, DIM)
    assert torch.equal(optimizer.state_dict()["state"][0]["exp_avg"], torch.zeros(NUM_ROWS, DIM))
    state.clear()
    assert not optimizer.state_dict()["state"].get(0)
    train(model, optimizer, steps=2)
    assert optimizer.state[model.table.weight]["step"] == 2
