"""Types and state of the optimizers, and torch's tools around them."""

import copy
import functools
import io
import math
import pathlib
import pickle
import re

import pytest
import torch
from training import ALL, DENSE, Model, batches, make_rowlane, train

import rowlane
from rowlane import optim

# --- memory ---------------------------------------------------------------------------------------

HUGE_PAGES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")


def is_in_huge_pages(tensor):
    """Whether they were asked for, of the memory in the tensor's middle."""
    middle, is_here = tensor.data_ptr() + tensor.nbytes // 2, False
    for line in pathlib.Path("/proc/self/smaps").read_text().splitlines():
        if mapping := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            is_here = int(mapping[1], 16) <= middle < int(mapping[2], 16)
        elif is_here and line.startswith("VmFlags:"):
            return "hg" in line.split()
    raise ValueError("no mapping has the tensor in it")


@pytest.mark.skipif(not HUGE_PAGES.exists() or "[never]" in HUGE_PAGES.read_text(),
                    reason="the system has no transparent huge pages")
def test_tables_and_states_are_in_huge_pages():
    table = rowlane.nn.Embedding(200_000, 64)
    assert is_in_huge_pages(table.weight)
    optimizer = optim.SparseAdam(table.parameters())
    table.fuse(optimizer)
    table(torch.tensor([1, 5])).sum().backward()
    optimizer.step()
    for name in ("exp_avg", "exp_avg_sq"):
        assert is_in_huge_pages(optimizer.state[table.weight][name])
    adagrad = optim.Adagrad(table.parameters())
    table.attach(adagrad)
    assert is_in_huge_pages(adagrad.state[table.weight]["sum"])
    other = torch.arange(4_000_000)
    assert not is_in_huge_pages(other)
    rowlane.use_huge_pages(other)
    assert is_in_huge_pages(other)
    assert torch.equal(other, torch.arange(4_000_000))


# --- types ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_master_weights_are_float32_weights(dtype):
    model, optimizer = make_rowlane(
        functools.partial(optim.SGD, lr=1e-4, master_weights=True), False, dtype=dtype)
    start = model.table.weight.detach().float()
    steps = 50
    for _ in range(steps):
        optimizer.zero_grad()
        model.table(torch.tensor([1])).sum().backward()
        optimizer.step()
    master = optimizer.state_dict()["state"][0]["master"]
    torch.testing.assert_close(master[1], start[1] - steps * 1e-4, rtol=0, atol=1e-6)
    assert torch.equal(model.table.weight, master.to(dtype))


@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
def test_stochastic_rounding_is_right_on_average_and_replayable(fused):
    results = []
    for stochastic in (False, True, True):
        table = rowlane.nn.Embedding(1, 4096, row_gradient=True, dtype=torch.bfloat16)
        torch.nn.init.constant_(table.weight, 1.0)
        # A step is a hundredth of the last place of 1.
        optimizer = optim.SGD([table.weight], 2**-7 / 100, stochastic_rounding=stochastic)
        (table.fuse if fused else table.attach)(optimizer)
        torch.manual_seed(3)
        for _ in range(50):
            optimizer.zero_grad()
            table(torch.tensor([0])).sum().neg().backward()
            optimizer.step()
        results.append(table.weight.detach().float())
    nearest, one, again = results
    assert torch.equal(nearest, torch.ones_like(nearest))
    assert torch.equal(one, again)
    # The mean of 4096 numbers, each of which is 1 or 1 + 2^-7 with a probability of about a half.
    assert abs(one.mean() - 1 - 0.5 * 2**-7) < 5 * 0.5 * 2**-7 / math.sqrt(4096)
    # Every step draws anew: 9 of 50 draws of a hundredth have a probability of 1e-9.
    assert one.max() < 1 + 9 * 2**-7


def test_state_dtype():
    model, optimizer = make_rowlane(
        functools.partial(optim.Adam, state_dtype=torch.float32), False, dtype=torch.bfloat16)
    train(model, optimizer, steps=3)
    state = optimizer.state_dict()["state"][0]
    assert state["exp_avg"].dtype == state["exp_avg_sq"].dtype == torch.float32
    copied = make_rowlane(functools.partial(optim.Adam, state_dtype=torch.float32), False,
                          dtype=torch.bfloat16)[1]
    copied.load_state_dict(optimizer.state_dict())
    assert torch.equal(copied.state_dict()["state"][0]["exp_avg"], state["exp_avg"])
    make = functools.partial(optim.SGD, lr=0.1, master_weights=True)
    model, optimizer = make_rowlane(make, False, dtype=torch.bfloat16)
    train(model, optimizer, steps=3)
    copied = make_rowlane(make, False, dtype=torch.bfloat16)[1]
    copied.load_state_dict(optimizer.state_dict())
    assert torch.equal(copied.state_dict()["state"][0]["master"],
                       optimizer.state_dict()["state"][0]["master"])
    model, optimizer = make_rowlane(optim.Adam, False, dtype=torch.bfloat16)
    train(model, optimizer, steps=3)
    assert optimizer.state_dict()["state"][0]["exp_avg"].dtype == torch.bfloat16


# --- state ----------------------------------------------------------------------------------------

def saved_and_loaded(state_dict):
    file = io.BytesIO()
    torch.save(state_dict, file)
    file.seek(0)
    return torch.load(file)


@pytest.mark.parametrize("name", [name for name in DENSE if name != "maximize"])
def test_state_dict_goes_to_torch_and_back(name):
    ours, theirs, arguments = DENSE[name]
    make_ours = functools.partial(ours, **arguments, semantics="dense_equivalent")
    # 30 steps each: Rowlane, torch, Rowlane. The batches are those of the first 30 steps each time.
    expected = Model(torch.nn.Embedding)
    optimizer = theirs(expected.parameters(), **arguments)
    for _ in range(3):
        train(expected, optimizer, steps=30)
    model, optimizer = make_rowlane(make_ours, False)
    train(model, optimizer, steps=30)
    second = Model(torch.nn.Embedding)
    second_optimizer = theirs(second.parameters(), **arguments)
    second_optimizer.load_state_dict(saved_and_loaded(optimizer.state_dict()))
    second.load_state_dict(model.state_dict())
    train(second, second_optimizer, steps=30)
    third, third_optimizer = make_rowlane(make_ours, True)
    third_optimizer.load_state_dict(saved_and_loaded(second_optimizer.state_dict()))
    third.load_state_dict(second.state_dict())
    train(third, third_optimizer, steps=30)
    third_optimizer.flush()
    torch.testing.assert_close(third.table.weight, expected.table.weight, rtol=0, atol=2e-6)
    assert third_optimizer.param_groups[0]["semantics"] == "dense_equivalent"


def test_goes_on_from_a_state_that_is_loaded_in_the_middle():
    make = functools.partial(optim.Adam, lr=0.01, semantics="dense_equivalent")
    model, optimizer = make_rowlane(make, False)
    train(model, optimizer, steps=5)
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    train(model, optimizer, steps=9)
    optimizer.flush()
    expected = model.table.weight.detach().clone()
    train(model, optimizer, steps=7)
    model.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    train(model, optimizer, steps=9)
    optimizer.flush()
    torch.testing.assert_close(model.table.weight, expected, rtol=0, atol=1e-6)


def test_a_copy_of_the_optimizer_is_up_to_date():
    make = functools.partial(optim.SGD, lr=0.1, momentum=0.9, semantics="dense_equivalent")
    model, optimizer = make_rowlane(make, False)
    train(model, optimizer, steps=9)
    copied = copy.deepcopy(optimizer).param_groups[0]["params"][0].detach()
    optimizer.flush()
    assert torch.equal(copied, model.table.weight)


def test_model_state_dict_is_up_to_date():
    make = functools.partial(optim.SGD, lr=0.1, momentum=0.9, semantics="dense_equivalent")
    model, optimizer = make_rowlane(make, True)
    train(model, optimizer, steps=9)
    saved = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer.flush()
    assert torch.equal(saved["table.weight"], model.table.weight)


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))],
                         ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("name", ALL)
def test_copies_go_on_where_the_original_was(name, copy_of):
    model, optimizer = make_rowlane(ALL[name], True)
    train(model, optimizer, steps=12)
    copied, copied_optimizer = copy_of((model, optimizer))
    assert type(copied_optimizer) is type(optimizer)
    assert copied_optimizer.param_groups[0]["params"][0] is copied.table.weight
    train(model, optimizer, steps=12)
    train(copied, copied_optimizer, steps=12)
    torch.testing.assert_close(copied.table.weight, model.table.weight, rtol=0, atol=1e-6)


# --- torch's tools --------------------------------------------------------------------------------

@pytest.mark.parametrize("clip", ["clip_grad_norm_", "clip_grad_value_"])
def test_clips_accumulates_and_unscales_as_with_dense_gradients(clip):
    results = []
    for module, arguments in ((rowlane.nn.Embedding, {"sparse": True}), (torch.nn.Embedding, {})):
        model = Model(module, **arguments)
        of_torch = module is torch.nn.Embedding
        optimizer = (torch.optim if of_torch else optim).SGD(model.parameters(), 0.5)
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        for indices in batches(30):
            optimizer.zero_grad()
            for part in (indices, indices[:1]):  # accumulated
                scaler.scale(model.loss(part)).backward()
            scaler.unscale_(optimizer)
            getattr((torch if of_torch else rowlane).nn.utils, clip)(model.parameters(), 0.05)
            scaler.step(optimizer)
            scaler.update()
        results.append(model.table.weight.detach())
    torch.testing.assert_close(*results, rtol=0, atol=1e-6)


def test_grad_scaler_skips_steps_with_infinities():
    for arguments in ({}, {"fused": True}):  # which leaves the scale to the optimizer
        model, optimizer = make_rowlane(functools.partial(optim.Adam, lr=0.1, **arguments), False)
        before = model.table.weight.detach().clone()
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        scaler.scale(model.loss(torch.tensor([1, 2])) * math.inf).backward()
        scaler.step(optimizer)
        scaler.update()
        assert torch.equal(model.table.weight, before)
        optimizer.zero_grad()
        scaler.scale(model.loss(torch.tensor([1, 2]))).backward()
        scaler.step(optimizer)
        assert not torch.equal(model.table.weight, before)


def test_grad_scaler_leaves_the_scale_to_torchs_fused_optimizers():
    results = []
    for scale, arguments in ((1.0, {}), (8.0, {"fused": True})):
        model, optimizer = make_rowlane(functools.partial(optim.SGD, lr=0.1, **arguments), False)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        scaler.scale(model.loss(torch.tensor([1, 2]))).backward()
        scaler.step(optimizer)
        results.append(model.table.weight.detach())
    torch.testing.assert_close(*results, rtol=0, atol=1e-6)


def test_closure_hooks_and_groups():
    model = Model(row_gradient=True)
    optimizer = optim.SGD([{"params": model.table.parameters(), "lr": 0.5},
                           {"params": model.layer.parameters()}], lr=0.0)
    # An optimizer of torch's own, whose step() then has hooks as well.
    torch.optim.SGD(model.layer.parameters(), 0.1)
    calls = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    table, layer = model.table.weight.detach().clone(), model.layer.weight.detach().clone()

    def closure():
        optimizer.zero_grad()
        loss = model.loss(torch.tensor([1, 2]))
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0
    assert calls == ["before", "after"]
    assert not torch.equal(model.table.weight, table) and torch.equal(model.layer.weight, layer)
