#!/usr/bin/env python3
"""The ops under what only Python has: opcheck, torch.compile, compiled autograd, torch.func.

Usage: transforms_test.py LIBRARY TORCH [unittest arguments]

LIBRARY is librowlane.so, TORCH the folder of the torch that it is built with.
"""

import pathlib
import sys
import unittest
import warnings

LIBRARY, TORCH = (sys.argv.pop(1) for _ in range(2))

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("Skipped: this Python has no torch")
    sys.exit(0)
if not pathlib.Path(torch.__file__).parent.samefile(TORCH):
    print("Skipped: the library is built with another torch than this Python's")
    sys.exit(0)

torch.ops.load_library(LIBRARY)
ops = torch.ops.rowlane

INDICES = torch.tensor([[1, 2, 2], [4, 0, 2]])

# Options of embedding, and whether torch's derivatives of it have the same meaning.
OPTIONS = {
    "plain": {},
    "padding": {"padding_idx": 2},
    "scaled": {"scale_grad_by_freq": True},
    "scaled, padding": {"scale_grad_by_freq": True, "padding_idx": 2},
}


def table(dtype=torch.double):
    return torch.randn(5, 3, dtype=dtype)


def gradient(function, weight):
    weight = weight.detach().requires_grad_()
    function(weight).backward()
    return weight.grad


class TransformsTest(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(3)
        # Where an op has no rule for vmap, torch loops and warns.
        warnings.filterwarnings("error", message=".*batching rule")

    def assert_close(self, actual, expected, **tolerances):
        torch.testing.assert_close(actual, expected, **tolerances)


class OpcheckTest(TransformsTest):
    def test_every_op(self):
        grad = torch.randn(2, 3, 4)
        calls = [(ops.embedding.default, (table(torch.float).requires_grad_(), INDICES), options)
                 for options in OPTIONS.values()]
        for options in OPTIONS.values():
            calls.append((ops.embedding_backward.default,
                          (grad.clone().requires_grad_(), INDICES.int(), 5), options))
            calls.append((ops.embedding_row_gradient.default, (grad, INDICES, 5), options))
        calls.append((ops.embedding_sparse_backward.default, (grad, INDICES, 5, 2), {}))
        calls.append((ops.embedding_renorm_.default, (table(), INDICES, 0.5, 2.0), {}))
        for op, args, kwargs in calls:
            with self.subTest(op=op, kwargs=kwargs):
                results = torch.library.opcheck(op, args, kwargs)
                self.assertEqual(set(results.values()), {"SUCCESS"})

    def test_gradients_as_coo_tensors(self):
        tests = ("test_schema", "test_autograd_registration", "test_faketensor")
        for layout in ("sparse", "row_gradient"):
            torch.library.opcheck(ops.embedding.default, (table().requires_grad_(), INDICES),
                                  {layout: True}, test_utils=tests)


class CompileTest(TransformsTest):
    def setUp(self):
        super().setUp()
        torch._dynamo.reset()

    def test_losses_and_gradients_are_equal(self):
        for options in OPTIONS.values():
            def loss(weight, options=options):
                return ops.embedding(weight, INDICES, **options).pow(2).sum()

            weight = table()
            compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
            self.assert_close(compiled(weight), loss(weight))
            self.assert_close(gradient(compiled, weight), gradient(loss, weight))

    def test_one_graph_for_all_sizes(self):
        counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
        compiled = torch.compile(lambda w, i: ops.embedding(w, i, 1).sum(), backend=counter,
                                 fullgraph=True, dynamic=True)
        for rows, count in ((5, 7), (9, 4), (20, 31)):
            weight = torch.randn(rows, 3, requires_grad=True)
            indices = torch.arange(count) % rows
            compiled(weight, indices).backward()
            self.assert_close(weight.grad, gradient(
                lambda w, i=indices: ops.embedding(w, i, 1).sum(), weight))
        self.assertEqual(counter.frame_count, 1)

    def test_renorm_in_a_graph(self):
        def scaled(weight):
            weight = weight.clone()
            ops.embedding_renorm_(weight, INDICES, 0.5)
            return weight * 2

        weight = table()
        self.assert_close(torch.compile(scaled, backend="aot_eager", fullgraph=True)(weight),
                          scaled(weight))

    def test_compiled_autograd(self):
        for options in [*OPTIONS.values(), {"sparse": True}, {"row_gradient": True}]:
            torch._dynamo.reset()
            weight = table()
            expected = gradient(
                lambda w, o=options: ops.embedding(w, INDICES, **o).pow(2).sum(), weight)
            graphs = []

            def compiler(graph, graphs=graphs):
                graphs.append(graph)
                return torch.compile(graph, backend="eager")

            weight.requires_grad_()
            with torch._dynamo.compiled_autograd._enable(compiler):
                ops.embedding(weight, INDICES, **options).pow(2).sum().backward()
            self.assertIn("RowlaneEmbeddingBackward", graphs[0].print_readable(False))
            self.assert_close(weight.grad.to_dense(), expected.to_dense())


class FuncTest(TransformsTest):
    def test_grad_equals_torchs(self):
        weight = table()
        for options in OPTIONS.values():
            mine = torch.func.grad(lambda w, o=options: ops.embedding(w, INDICES, **o).pow(3).sum())
            theirs = torch.func.grad(
                lambda w, o=options: F.embedding(INDICES, w, **o).pow(3).sum())
            self.assert_close(mine(weight), theirs(weight))

    def test_jvp_is_the_transpose_of_vjp(self):
        weight, tangent, cotangent = table(), table(), torch.randn(2, 3, 3, dtype=torch.double)
        for options in OPTIONS.values():
            def look_up(w, options=options):
                return ops.embedding(w, INDICES, **options)

            _, forward = torch.func.jvp(look_up, (weight,), (tangent,))
            _, pullback = torch.func.vjp(look_up, weight)
            self.assert_close((forward * cotangent).sum(), (pullback(cotangent)[0] * tangent).sum())

    def test_jacobians_of_both_modes_agree(self):
        weight = table()
        for options in OPTIONS.values():
            def look_up(w, options=options):
                return ops.embedding(w, INDICES, **options)

            reverse = torch.func.jacrev(look_up)(weight)
            self.assert_close(torch.func.jacfwd(look_up)(weight), reverse)
            expected = torch.stack([
                gradient(lambda w, i=i, o=options: ops.embedding(w, INDICES, **o).flatten()[i],
                         weight) for i in range(18)])
            self.assert_close(reverse.view(18, 5, 3), expected)

    def test_hessian(self):
        weight = table()
        mine = torch.func.hessian(lambda w: ops.embedding(w, INDICES, 2).pow(3).sum())(weight)
        flat = torch.autograd.functional.hessian(
            lambda w: ops.embedding(w, INDICES, 2).pow(3).sum(), weight)
        self.assert_close(mine, flat)

    def test_vmap_of_the_look_up(self):
        tables = torch.randn(4, 5, 3, dtype=torch.double)
        batches = torch.randint(5, (4, 2, 6))
        for options in OPTIONS.values():
            def look_up(w, i, options=options):
                return ops.embedding(w, i, **options)

            for in_dims, args in (((0, None), (tables, INDICES)),
                                  ((None, 0), (tables[0], batches)),
                                  ((0, 0), (tables, batches)),
                                  ((2, 1), (tables.permute(1, 2, 0), batches.transpose(0, 1)))):
                mine = torch.func.vmap(look_up, in_dims)(*args)
                theirs = torch.func.vmap(lambda w, i: F.embedding(i, w), in_dims)(*args)
                self.assert_close(mine, theirs)

    def test_vmap_of_gradients(self):
        tables = torch.randn(4, 5, 3, dtype=torch.double)
        batches = torch.randint(5, (4, 2, 6))
        for options in OPTIONS.values():
            def mine(w, i, options=options):
                return torch.func.grad(lambda w: ops.embedding(w, i, **options).pow(3).sum())(w)

            for in_dims, args in (((0, None), (tables, INDICES)),
                                  ((None, 0), (tables[0], batches)),
                                  ((0, 0), (tables, batches))):
                expected = torch.stack([mine(*(a[k] if d == 0 else a
                                               for a, d in zip(args, in_dims)))
                                        for k in range(4)])
                self.assert_close(torch.func.vmap(mine, in_dims)(*args), expected)

    def test_gradient_of_vmap(self):
        tables = torch.randn(4, 5, 3, dtype=torch.double)
        batches = torch.randint(5, (4, 2, 6))
        for options in OPTIONS.values():
            def look_up(w, i, options=options):
                return ops.embedding(w, i, **options).pow(3).sum()

            shared = gradient(lambda w: torch.func.vmap(look_up, (None, 0))(w, batches).sum(),
                              tables[0])
            self.assert_close(shared, sum(gradient(lambda w, i=i: look_up(w, i), tables[0])
                                          for i in batches))
            own = gradient(lambda w: torch.func.vmap(look_up)(w, batches).sum(), tables)
            self.assert_close(own, torch.stack([gradient(lambda w, i=i: look_up(w, i), t)
                                                for t, i in zip(tables, batches)]))

    def test_vmap_of_renorm(self):
        tables = torch.randn(4, 5, 3, dtype=torch.double)
        batches = torch.randint(5, (4, 2))
        expected = tables.clone()
        for one, indices in zip(expected, batches):
            torch.embedding_renorm_(one, indices, 0.5, 2.0)

        def scale(w, i):
            ops.embedding_renorm_(w, i, 0.5)
            return w

        self.assert_close(torch.func.vmap(scale)(tables, batches), expected)

    def test_bad_index_of_a_batch(self):
        grads = torch.ones(2, 1, 3)
        with self.assertRaisesRegex(IndexError, "out of range"):
            torch.func.vmap(lambda g, i: ops.embedding_backward(g, i, 5))(
                grads, torch.tensor([[5], [0]]))


class ModesTest(TransformsTest):
    def test_autocast_changes_nothing(self):
        weight = torch.randn(5, 3, requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16):
            rows = ops.embedding(weight, INDICES)
            self.assertEqual((weight.detach() @ torch.ones(3, 1)).dtype, torch.bfloat16)
        self.assertEqual(rows.dtype, torch.float)
        rows.sum().backward()
        self.assertEqual(weight.grad.dtype, torch.float)

    def test_sparse_adam_takes_both_layouts(self):
        def trained(optimizer, **options):
            weight = start.clone().requires_grad_()
            optimizer = optimizer([weight], lr=0.1)
            for _ in range(3):
                optimizer.zero_grad()
                ops.embedding(weight, INDICES, **options).pow(2).sum().backward()
                optimizer.step()
            return weight.detach()

        start = table()
        sparse, rows = (trained(torch.optim.SparseAdam, **{layout: True})
                        for layout in ("sparse", "row_gradient"))
        self.assert_close(sparse, rows)
        # Rows that aren't looked up stay; the others go where Adam takes them.
        self.assert_close(rows[3], start[3])
        named = [0, 1, 2, 4]
        self.assert_close(rows[named], trained(torch.optim.Adam)[named], atol=1e-5, rtol=0)

    def test_row_gradient_stays_coalesced_in_the_parameter(self):
        weight = table().requires_grad_()
        ops.embedding(weight, INDICES, row_gradient=True).sum().backward()
        self.assertTrue(weight.grad.is_coalesced())


if __name__ == "__main__":
    unittest.main()
