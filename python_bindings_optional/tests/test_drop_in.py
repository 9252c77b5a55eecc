"""What takes torch.nn.Embedding, or one of its modules, takes ours."""

import contextlib
import copy
import inspect
import pickle

import pytest
import torch
import torch.nn.utils.prune

import rowlane

INDICES = torch.tensor([[1, 2, 2], [0, 4, 2]])


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = rowlane.nn.Embedding(5, 3, padding_idx=-1, row_gradient=True)

    def forward(self, indices):
        return self.table(indices).relu()


def test_signatures_name_torchs_arguments_and_ours():
    for ours, theirs in ((rowlane.nn.Embedding, torch.nn.Embedding),
                         (rowlane.nn.Embedding.from_pretrained,
                          torch.nn.Embedding.from_pretrained)):
        mine = inspect.signature(ours).parameters
        for name, parameter in inspect.signature(theirs).parameters.items():
            assert mine[name].default == parameter.default
            assert mine[name].kind == parameter.kind
        assert list(mine)[-2:] == ["row_gradient", "algorithm"]
        assert list(mine)[:-2] == list(inspect.signature(theirs).parameters)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_skip_init(device):
    table = torch.nn.utils.skip_init(rowlane.nn.Embedding, 5, 3, padding_idx=1, row_gradient=True,
                                     device=device, dtype=torch.float64)
    assert table.weight.shape == (5, 3) and table.weight.device.type == device
    assert table.weight.dtype == torch.float64 and table.row_gradient
    assert table(INDICES.to(device)).shape == (2, 3, 3)


def test_symbolic_trace_with_padding():
    model = Model()
    traced = torch.fx.symbolic_trace(model)
    assert torch.equal(traced(INDICES), model(INDICES))
    traced(INDICES).sum().backward()
    assert model.table.weight.grad.is_coalesced()

    def look_up(indices, weight):
        return rowlane.nn.functional.embedding(indices, weight, padding_idx=-1)

    weight = torch.randn(5, 3, requires_grad=True)
    rows = torch.fx.symbolic_trace(look_up)(INDICES, weight)
    assert torch.equal(rows, look_up(INDICES, weight))
    grad, = torch.autograd.grad(rows.sum(), weight)
    assert torch.equal(grad[4], torch.zeros(3))


def test_leaves_of_a_trace_are_inlined_too():
    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, module, name):
            return False

    model = Model()
    traced = torch.fx.GraphModule(model, Tracer().trace(model))
    assert torch.equal(traced(INDICES), model(INDICES))


def test_from_pretrained_takes_our_options():
    numbers = torch.randn(5, 3)
    table = rowlane.nn.Embedding.from_pretrained(numbers, False, 1, row_gradient=True,
                                                 algorithm="sorted")
    assert table.row_gradient and table.algorithm == "sorted" and table.padding_idx == 1
    assert table.weight.data_ptr() == numbers.data_ptr()
    table(INDICES).sum().backward()
    assert table.weight.grad.is_coalesced()
    assert not rowlane.nn.Embedding.from_pretrained(numbers).weight.requires_grad


def test_copies_and_pickles():
    table = rowlane.nn.Embedding(5, 3, padding_idx=1, row_gradient=True, algorithm="sorted")
    for again in (copy.deepcopy(table), pickle.loads(pickle.dumps(table))):
        assert repr(again) == repr(table)
        assert torch.equal(again(INDICES), table(INDICES))


@pytest.mark.parametrize("wrap", [
    lambda table: torch.nn.utils.parametrizations.weight_norm(table),
    lambda table: torch.nn.utils.parametrizations.spectral_norm(table),
    lambda table: torch.nn.utils.prune.l1_unstructured(table, "weight", amount=0.4)])
def test_weights_that_are_computed(wrap):
    results = []
    for kind in (rowlane.nn.Embedding, torch.nn.Embedding):
        torch.manual_seed(0)
        table = wrap(kind(5, 3, padding_idx=1))
        rows = table(INDICES)
        rows.pow(2).sum().backward()
        results.append((rows, *[parameter.grad for parameter in table.parameters()]))
    # A row of zeros has no direction: torch's weight_norm makes it NaN.
    torch.testing.assert_close(*results, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("accelerated", [False, True])
def test_two_sparse_gradients_of_sums_are_joined_as_torchs(dtype, accelerated):
    indices = torch.tensor([7, 1, 3])
    with rowlane.accelerate() if accelerated else contextlib.nullcontext():
        kind = torch.nn.Embedding if accelerated else rowlane.nn.Embedding
        table = kind(10, 3, sparse=True, dtype=dtype)
        for _ in range(2):
            table(indices).sum().backward()
    assert torch.equal(table.weight.grad._indices(), indices.repeat(1, 2))
    assert torch.equal(table.weight.grad._values(), torch.ones(6, 3, dtype=dtype))


@pytest.mark.parametrize("norm_type", [0.5, 1, 2, float("inf")])
@pytest.mark.parametrize("arguments", [{"sparse": True}, {"row_gradient": True}])
@pytest.mark.parametrize("others", [0, 1])
def test_clips_the_norm_of_an_empty_sparse_gradient(norm_type, arguments, others):
    table = rowlane.nn.Embedding(5, 3, padding_idx=1, **arguments)
    table(torch.tensor([1, 1])).sum().backward()
    assert table.weight.grad._nnz() == 0
    rest = [torch.nn.Parameter(torch.ones(4)) for _ in range(others)]
    for parameter in rest:
        parameter.grad = torch.full((4,), 3.0)
    norm = rowlane.nn.utils.clip_grad_norm_([table.weight, *rest], 1.0, norm_type)
    expected = torch.nn.utils.get_total_norm([parameter.grad.clone() for parameter in rest],
                                             norm_type)
    for parameter in rest:
        assert parameter.grad.norm(norm_type) <= 1.001
    assert table.weight.grad._nnz() == 0
    if others:
        assert norm == torch.full((4,), 3.0).norm(norm_type)
    else:
        assert norm == expected == 0
    rowlane.nn.utils.clip_grad_value_([table.weight, *rest], 0.1)


def test_clips_a_sparse_gradient_of_one_entry():
    table = rowlane.nn.Embedding(5, 4, sparse=True)
    table(torch.tensor([3])).sum().backward()
    rowlane.nn.utils.clip_grad_norm_([table.weight], 1.0)
    torch.testing.assert_close(table.weight.grad.to_dense().norm(), torch.tensor(1.0))


@pytest.mark.parametrize("accelerated", [False, True])
def test_table_that_is_not_2_d_is_refused_in_torchs_words(accelerated):
    for weight in (torch.tensor(1.0), torch.ones(1, 1, 1)):
        with (rowlane.accelerate() if accelerated else contextlib.nullcontext(),
              pytest.raises(RuntimeError, match="'weight' must be 2-D")):
            function = torch.nn.functional if accelerated else rowlane.nn.functional
            function.embedding(INDICES, weight)
