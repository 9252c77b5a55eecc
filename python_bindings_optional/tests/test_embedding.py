"""The module and the function against torch's own."""

import pytest
import torch
from hypothesis import given, settings, strategies as st

import rowlane

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


@st.composite
def look_ups(draw):
    """A table, indices, and arguments that both functions take; all values are small integers."""
    num_rows = draw(st.integers(1, 40))
    dim = draw(st.integers(1, 33))
    shape = draw(st.lists(st.integers(0, 6), max_size=3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    indices = torch.randint(num_rows, shape, generator=generator,
                            dtype=draw(st.sampled_from([torch.int32, torch.int64])))
    weight = torch.randint(-4, 5, (num_rows, dim), generator=generator)
    weight = weight.to(draw(st.sampled_from(DTYPES)))
    if draw(st.booleans()):
        weight = weight.t().contiguous().t()
    arguments = {"sparse": draw(st.booleans())}
    # torch itself has no sparse gradient of a single index with padding.
    if (shape or not arguments["sparse"]) and draw(st.booleans()):
        arguments["padding_idx"] = draw(st.integers(-num_rows, num_rows - 1))
    return weight, indices, arguments


def run(function, weight, indices, arguments):
    weight = weight.detach().requires_grad_()
    rows = function(indices, weight, **arguments)
    factors = torch.arange(rows.numel()).reshape(rows.shape).remainder(3).to(weight.dtype)
    (rows * factors).sum().backward()
    return rows.detach(), weight.grad


@settings(max_examples=1000, deadline=None)
@given(look_ups())
def test_function_gives_what_torch_gives(look_up):
    rows, grad = run(rowlane.nn.functional.embedding, *look_up)
    expected_rows, expected_grad = run(torch.nn.functional.embedding, *look_up)
    assert torch.equal(rows, expected_rows)
    assert grad.layout == expected_grad.layout
    if grad.layout == torch.sparse_coo:
        assert torch.equal(grad._indices(), expected_grad._indices())
        assert torch.equal(grad._values(), expected_grad._values())
    else:
        assert torch.equal(grad, expected_grad)


@settings(max_examples=300, deadline=None)
@given(look_ups())
def test_row_gradient_is_coalesced_and_the_same(look_up):
    weight, indices, arguments = look_up
    arguments.pop("sparse")
    _, grad = run(rowlane.nn.functional.embedding, weight, indices,
                  {**arguments, "row_gradient": True})
    _, dense = run(torch.nn.functional.embedding, weight, indices, arguments)
    assert grad.is_coalesced()
    rows = grad.indices()[0]
    assert torch.equal(rows, rows.unique())
    assert torch.equal(grad.to_dense(), dense)


@pytest.mark.parametrize("arguments", [
    {"max_norm": 1.5}, {"max_norm": 2.0, "norm_type": 1.0}, {"scale_grad_by_freq": True}])
def test_options_that_scale(arguments):
    torch.manual_seed(0)
    weight = torch.randn(10, 4, dtype=torch.float64)
    indices = torch.randint(10, (3, 8))
    ours, theirs = weight.clone(), weight.clone()
    for result, expected in zip(run(rowlane.nn.functional.embedding, ours, indices, arguments),
                                run(torch.nn.functional.embedding, theirs, indices, arguments)):
        torch.testing.assert_close(result, expected)
    torch.testing.assert_close(ours, theirs)


def test_module_has_the_state_and_the_constructors_of_torchs():
    torch.manual_seed(0)
    ours = rowlane.nn.Embedding(10, 4, padding_idx=-1, max_norm=3.0, sparse=True)
    torch.manual_seed(0)
    theirs = torch.nn.Embedding(10, 4, padding_idx=-1, max_norm=3.0, sparse=True)
    assert repr(ours) == repr(theirs)
    assert torch.equal(ours.weight, theirs.weight)
    ours.load_state_dict(theirs.state_dict())
    table = torch.randn(5, 3)
    pretrained = rowlane.nn.Embedding.from_pretrained(table, freeze=False, padding_idx=1)
    assert type(pretrained) is rowlane.nn.Embedding
    assert pretrained.weight.requires_grad and pretrained.padding_idx == 1
    assert torch.equal(pretrained(torch.tensor([1, 4])), table[[1, 4]])


def test_bad_arguments_are_named():
    table = torch.zeros(5, 3)
    with pytest.raises(IndexError, match=r"index 7 at position 1 \(indices\[1\]\) is out of range: "
                                         r"the table has 5 rows"):
        rowlane.nn.functional.embedding(torch.tensor([0, 7]), table)
    with pytest.raises(ValueError, match="padding_idx 5 is out of range for a table of 5 rows"):
        rowlane.nn.functional.embedding(torch.tensor([0]), table, padding_idx=5)


def test_optimizers_take_both_sparse_layouts():
    indices = torch.tensor([3, 1, 3])
    for make in (lambda p: torch.optim.SGD(p, 0.5), lambda p: torch.optim.Adagrad(p, 0.5),
                 lambda p: torch.optim.SparseAdam(p, 0.5)):
        results = []
        for arguments in ({"sparse": True}, {"row_gradient": True}):
            torch.manual_seed(0)
            table = rowlane.nn.Embedding(5, 2, **arguments)
            optimizer = make(list(table.parameters()))
            for _ in range(3):
                optimizer.zero_grad()
                table(indices).pow(2).sum().backward()
                optimizer.step()
            results.append(table.weight.detach())
        torch.testing.assert_close(*results)
