"""torch's own checks, compilers and transforms on the ops."""

import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

import rowlane

WEIGHT = torch.arange(24, dtype=torch.float32).reshape(8, 3)
INDICES = torch.tensor([[3, 0, 3], [1, 7, 7]])


def weight():
    return WEIGHT.clone().requires_grad_()


@pytest.mark.parametrize("arguments", [
    {}, {"padding_idx": 3}, {"padding_idx": 7, "scale_grad_by_freq": True}])
def test_opcheck_of_the_look_up(arguments):
    torch.library.opcheck(torch.ops.rowlane.embedding.default, (weight(), INDICES), arguments)


@pytest.mark.parametrize("arguments", [{}, {"padding_idx": 3}, {"scale_grad_by_freq": True}])
def test_opcheck_of_the_backward(arguments):
    grad = torch.randn(2, 3, 3, requires_grad=True)
    torch.library.opcheck(torch.ops.rowlane.embedding_backward.default, (grad, INDICES, 8),
                          arguments)


def test_opcheck_of_the_renorm():
    torch.library.opcheck(torch.ops.rowlane.embedding_renorm_.default,
                          (WEIGHT.clone(), INDICES, 2.0, 2.0))


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_to_one_graph(backend):
    def loss(table, indices):
        return table(indices).sin().sum()

    torch.manual_seed(0)
    table = rowlane.nn.Embedding(8, 3, padding_idx=1)
    eager = loss(table, INDICES)
    eager_grad, = torch.autograd.grad(eager, table.weight)
    compiled = torch.compile(loss, backend=backend, fullgraph=True)(table, INDICES)
    compiled_grad, = torch.autograd.grad(compiled, table.weight)
    torch.testing.assert_close(compiled, eager)
    torch.testing.assert_close(compiled_grad, eager_grad)


def test_is_not_compiled_again_for_other_sizes():
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")

    @torch.compile(backend=counter, dynamic=True, fullgraph=True)
    def look_up(table, indices):
        return rowlane.nn.functional.embedding(indices, table)

    for rows, count in ((8, 5), (9, 6), (30, 12)):
        look_up(torch.randn(rows, 4, requires_grad=True), torch.arange(count) % rows)
    assert counter.frame_count == 1


def test_exports():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = rowlane.nn.Embedding(8, 3)

        def forward(self, indices):
            return self.table(indices) * 2

    model = Model()
    program = torch.export.export(model, (INDICES,))
    assert "rowlane.embedding" in str(program.graph)
    assert torch.equal(program.module()(INDICES), model(INDICES))


def test_transforms():
    def loss(table):
        return rowlane.nn.functional.embedding(INDICES, table).pow(2).sum()

    grad = torch.func.grad(loss)(WEIGHT)
    expected, = torch.autograd.grad(loss(table := weight()), table)
    torch.testing.assert_close(grad, expected)
    _, tangent = torch.func.jvp(loss, (WEIGHT,), (torch.ones_like(WEIGHT),))
    torch.testing.assert_close(tangent, expected.sum())
    jacobian = torch.func.jacrev(
        lambda table: rowlane.nn.functional.embedding(INDICES, table).sum(0))(WEIGHT)
    assert jacobian.shape == (3, 3, 8, 3)
    tables = torch.randn(4, 8, 3)
    torch.testing.assert_close(
        torch.vmap(lambda table: rowlane.nn.functional.embedding(INDICES, table))(tables),
        tables[:, INDICES])


def test_autocast_changes_nothing():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rows = rowlane.nn.functional.embedding(INDICES, WEIGHT)
    assert rows.dtype == torch.float32


OP_INFO = next(info for info in op_db if info.name == "nn.functional.embedding")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_torchs_own_samples(dtype):
    count = 0
    # Those with options are among the ones for inputs that don't require a gradient; they get one.
    for sample in OP_INFO.sample_inputs("cpu", dtype, requires_grad=False):
        results = []
        for function in (torch.nn.functional.embedding, rowlane.nn.functional.embedding):
            table = sample.input.detach().clone().requires_grad_()
            rows = function(sample.args[0], table, **sample.kwargs)
            if sample.kwargs.get("sparse") and sample.kwargs.get("scale_grad_by_freq"):
                results.append((rows, table))  # torch has no such gradient
                continue
            torch.manual_seed(0)
            direction = torch.randn_like(rows)
            grad, = torch.autograd.grad(rows, table, direction)
            results.append((rows, grad.to_dense(), table))
        torch.testing.assert_close(*results)
        count += 1
    assert count > 5


def test_torchs_own_error_inputs():
    count = 0
    for error in OP_INFO.error_inputs("cpu"):
        sample = error.sample_input
        with pytest.raises(Exception):
            torch.nn.functional.embedding(*sample.args, sample.input, **sample.kwargs)
        with pytest.raises((RuntimeError, TypeError, ValueError, IndexError), match="rowlane::"):
            rowlane.nn.functional.embedding(*sample.args, sample.input, **sample.kwargs)
        count += 1
    assert count > 0
