"""Steps in the backward pass are the steps after it; what can't be right is an error."""

import functools

import pytest
import torch
from training import ALL, DIM, NUM_ROWS, Model, make_rowlane, train

import rowlane
from rowlane import optim


@pytest.mark.parametrize("name", ALL)
def test_fused_is_unfused(name):
    models = []
    for fused in (False, True):
        model, optimizer = make_rowlane(ALL[name], fused)
        train(model, optimizer, steps=50)
        assert (model.table.weight.grad is None) == fused
        models.append(model)
    for ours, expected in zip(models[0].parameters(), models[1].parameters()):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)


def test_look_ups_of_one_backward_pass_are_summed_before_the_step():
    results = []
    for fused in (False, True):
        torch.manual_seed(0)
        table = rowlane.nn.Embedding(8, 4, padding_idx=5, row_gradient=True)
        optimizer = optim.Adagrad([table.weight], 0.1)
        if fused:
            table.fuse(optimizer)
        for _ in range(3):
            optimizer.zero_grad()
            rows = table(torch.tensor([1, 2, 2])), table(torch.tensor([[2, 5]], dtype=torch.int32))
            sum(part.pow(2).sum() for part in rows).backward()
            optimizer.step()
        results.append(table.weight.detach())
    torch.testing.assert_close(*results, rtol=0, atol=1e-6)


def test_unfuse_gives_gradients_again():
    model, optimizer = make_rowlane(functools.partial(optim.SGD, lr=0.1), True)
    model.table.unfuse()
    model.loss(torch.tensor([1])).backward()
    assert model.table.weight.grad._nnz() == 1
    optimizer.step()


def test_no_gradient_is_made_without_grad_mode():
    model, _ = make_rowlane(functools.partial(optim.SGD, lr=0.1), True)
    with torch.no_grad():
        assert not model.table(torch.tensor([1])).requires_grad
    model.table.weight.requires_grad_(False)
    assert not model.table(torch.tensor([1])).requires_grad


def test_a_failed_backward_pass_leaves_nothing_behind():
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, rows):
            return rows.clone()

        @staticmethod
        def backward(ctx, grad):
            raise ArithmeticError

    model, optimizer = make_rowlane(functools.partial(optim.SGD, lr=0.1), True)
    before = model.table.weight.detach().clone()
    rows = model.table(torch.tensor([1]))
    # The look-up that is made last is the first in the backward pass.
    with pytest.raises(ArithmeticError):
        (Fails.apply(torch.ones((), requires_grad=True)) + 0 * rows.sum()
         + model.table(torch.tensor([2])).sum()).backward()
    assert torch.equal(model.table.weight, before)
    model.table(torch.tensor([4])).sum().backward()
    optimizer.step()
    changed = (model.table.weight != before).any(1).nonzero().flatten()
    assert changed.tolist() == [4]


class TestAFusedTableRefuses:
    """What it can't do right; the table is as it was before."""

    @pytest.fixture
    def model(self):
        return Model()

    @pytest.fixture
    def optimizer(self, model):
        optimizer = optim.SGD(model.parameters(), 0.1)
        model.table.fuse(optimizer)
        return optimizer

    def refused(self, model, message, run):
        before = model.table.weight.detach().clone()
        with pytest.raises(RuntimeError, match="rowlane::nn::Embedding: " + message):
            run()
        assert torch.equal(model.table.weight, before)

    def test_second_derivatives(self, model, optimizer):
        loss = model.loss(torch.tensor([1]))
        self.refused(model, "the table is fused with its optimizer and has no gradient, so "
                            "create_graph must be false",
                     lambda: loss.backward(create_graph=True))

    def test_gradients_by_name(self, model, optimizer):
        loss = model.loss(torch.tensor([1]))
        self.refused(model, "the table is fused with its optimizer and has no gradient, so it "
                            "can't be asked for by autograd.grad",
                     lambda: torch.autograd.grad(loss, model.table.weight, allow_unused=True))
        assert torch.autograd.grad(model.loss(torch.tensor([1])), model.layer.bias)[0] is not None

    def test_a_second_backward_pass_before_the_step(self, model, optimizer):
        model.loss(torch.tensor([1])).backward()
        loss = model.loss(torch.tensor([1]))
        self.refused(model, r"a fused table takes its step in the backward pass, so there must be "
                            r"a step\(\) of the optimizer between two backward passes",
                     loss.backward)
        optimizer.step()
        model.loss(torch.tensor([1])).backward()

    def test_uses_elsewhere(self, model, optimizer):
        loss = model.loss(torch.tensor([1])) + model.table.weight.sum()
        self.refused(model, "a fused table must have no gradient, but weight.grad is defined",
                     loss.backward)
        with pytest.raises(RuntimeError, match="rowlane::optim::SGD: a fused table must have no "
                                               "gradient, but weight.grad is defined"):
            optimizer.step()

    def test_two_look_ups_that_are_scaled(self):
        model = Model(scale_grad_by_freq=True)
        model.table.fuse(optim.SGD(model.parameters()))
        loss = model.loss(torch.tensor([1])) + model.loss(torch.tensor([2]))
        self.refused(model, "a fused table with scale_grad_by_freq can be looked up once in a "
                            "backward pass, got 2 look-ups", loss.backward)

    def test_hooks(self, model, optimizer):
        model.table.weight.register_hook(lambda grad: grad)
        self.refused(model, "a fused table must have no hooks",
                     lambda: model.loss(torch.tensor([1])))

    def test_another_weight(self, model, optimizer):
        model.table.weight = torch.nn.Parameter(torch.zeros(NUM_ROWS, DIM))
        self.refused(model, "weight was replaced by another tensor since the table was attached",
                     lambda: model.loss(torch.tensor([1])))

    def test_scaled_losses(self, model, optimizer):
        scaler = torch.amp.GradScaler("cpu")
        scaler.scale(model.loss(torch.tensor([1]))).backward()
        with pytest.raises(RuntimeError, match="rowlane::optim::SGD: a fused table takes its step "
                                               "in the backward pass, before GradScaler can undo "
                                               "its scale"):
            scaler.step(optimizer)
