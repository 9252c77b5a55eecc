#!/usr/bin/env python3
"""Times Rowlane's Python optimizers beside peers that exist in Python only, in one run.

The workload `step`: torch.optim.SparseAdam, and torch's fused dense Adam. `fbgemm-default`: FBGEMM's
table-batched embedding on the CPU (fbgemm_gpu; without it its rows say how to get it). Each
contender's first step is proved right before anything is timed. Writes rows of schema 1, for
scripts/report/step_report.py.

ROWLANE_LIBRARY_DIR names the folder of librowlane.so.
"""

import argparse
import datetime
import functools
import json
import logging
import os
import pathlib
import random
import statistics
import sys
import time

if "fbgemm-default" in sys.argv and os.environ.get("OMP_WAIT_POLICY") is None:
    # FBGEMM has an OpenMP of its own; threads of two that spin for each other would take several
    # times as long. Read when OpenMP is loaded, so the program begins once more.
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.execv(sys.executable, [sys.executable, *sys.argv])

import torch  # noqa: E402

# torch's own sparse optimizers warn of it.
torch.sparse.check_sparse_tensor_invariants.disable()

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python_bindings_optional/src"))
import rowlane  # noqa: E402

GET_FBGEMM = "pip install --no-deps fbgemm-gpu-cpu==1.6.0"
LEARNING_RATE = 1e-3
EPS = 1e-8
BETA2 = 0.999
NUM_BATCHES = 4

# What a first step from a state of zeros takes away, by the sum of a row's gradients in double.
FIRST_UPDATES = {
    "step_sgd": lambda g: LEARNING_RATE * g,
    "step_adagrad": lambda g: LEARNING_RATE * g / (g.abs() + EPS),
    "step_rowwise_adagrad":
        lambda g: LEARNING_RATE * g / (g.pow(2).mean(1, keepdim=True).sqrt() + EPS),
    "step_sparse_adam":
        lambda g: LEARNING_RATE * (1 - BETA2)**0.5 * g / ((1 - BETA2)**0.5 * g.abs() + EPS),
    "step_adam": lambda g: LEARNING_RATE * g / (g.abs() + EPS),
}


class WrongStep(Exception):
    """A contender's first step isn't the formula's; the text is a sentence."""


class Problem:
    """A table, and look-ups [batch, length] in it by a law."""

    def __init__(self, workload, scale, rows, shape, law):
        self.workload, self.scale, self.law = workload, scale, law
        self.rows, self.dim, self.shape = rows, 128, shape
        self.generator = torch.Generator().manual_seed(20180315)
        self.batches = [self._draw() for _ in range(NUM_BATCHES)]

    def _draw(self):
        count = self.shape[0] * self.shape[1]
        if self.law == "uniform":
            return torch.randint(self.rows, (count,), generator=self.generator)
        # The k-th most frequent row has a probability proportional to 1 / k.
        shares = torch.arange(1, self.rows + 1, dtype=torch.float64).reciprocal().cumsum(0)
        draws = torch.rand(count, dtype=torch.float64, generator=self.generator) * shares[-1]
        order = torch.randperm(self.rows, generator=torch.Generator().manual_seed(1))
        return order[torch.searchsorted(shares, draws).clamp_(max=self.rows - 1)]

    @functools.cache
    def gradient(self, is_pooled):
        """Small integers, whose sums are exact; the same for all contenders."""
        count = self.shape[0] * (1 if is_pooled else self.shape[1])
        return torch.randint(-4, 5, (count, self.dim), generator=self.generator).float()

    def row(self):
        return {"workload": self.workload, "scale": self.scale, "dtype": "float32",
                "index_dtype": "int64", "rows": self.rows, "dim": self.dim,
                "num_indices": self.shape[0] * self.shape[1], "indices": self.law}


class Contender:
    """step(call) looks batch `call` up, takes the gradient back, and updates `table`."""

    def __init__(self, impl, algorithm, problem, table, step, is_pooled=False):
        self.impl, self.algorithm, self.problem, self.table = impl, algorithm, problem, table
        self.is_pooled, self._step = is_pooled, step
        self.gradient = problem.gradient(is_pooled)
        self.samples_ms = []

    def step(self, call):
        self._step(self.problem.batches[call % NUM_BATCHES], self.gradient)

    def prove(self, op):
        """The largest error of the first step."""
        indices = self.problem.batches[0]
        rows, positions, counts = indices.unique(return_inverse=True, return_counts=True)
        before = self.table[rows].clone()
        gradient = self.gradient
        if self.is_pooled:
            gradient = gradient.repeat_interleave(self.problem.shape[1], 0)
        sums = torch.zeros(before.shape, dtype=torch.float64).index_add_(
            0, positions, gradient.double())
        expected = before.double() - FIRST_UPDATES[op](sums)
        self.step(0)
        error = (self.table[rows].double() - expected).abs().max().item()
        # The few operations of a step are rounded; torch's sparse SGD takes the gradients of a row
        # from it one by one.
        roundings = 8 + (counts.max().item() if self.impl == "nn_embedding_sparse" else 0)
        bound = roundings * 2**-24 * expected.abs().max().item()
        if not error <= bound:
            raise WrongStep(f"{self.impl} {self.algorithm} is wrong by {error:.1e} after its first "
                            f"{op}; rounding explains {bound:.1e}.")
        self.table[rows] = before
        return error


# --- contenders -------------------------------------------------------------------------------


def training_loop(module, optimizer, length=None):
    def step(indices, gradient):
        rows = module(indices) if length is None else module(indices.view(-1, length)).sum(1)
        rows.backward(gradient)
        optimizer.step()
        optimizer.zero_grad()

    return step


def rowlane_contender(problem, table, make, way, is_pooled=False, **arguments):
    module = rowlane.nn.Embedding.from_pretrained(table, freeze=False)
    module.row_gradient = way == "unfused"
    optimizer = make(module.parameters(), lr=LEARNING_RATE, **arguments)
    if way == "fused":
        module.fuse(optimizer)
    step = training_loop(module, optimizer, problem.shape[1] if is_pooled else None)
    return Contender("rowlane", way, problem, module.weight.detach(), step, is_pooled)


def torch_contender(problem, table, make, name, is_sparse, **arguments):
    module = torch.nn.Embedding.from_pretrained(table, freeze=False, sparse=is_sparse)
    optimizer = make(module.parameters(), lr=LEARNING_RATE, **arguments)
    return Contender("nn_embedding_sparse" if is_sparse else "nn_embedding_dense", name, problem,
                     module.weight.detach(), training_loop(module, optimizer))


def fbgemm_contender(problem, optimizer, is_pooled):
    from fbgemm_gpu.split_embedding_configs import EmbOptimType
    from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
        ComputeDevice, EmbeddingLocation, PoolingMode, SplitTableBatchedEmbeddingBagsCodegen)

    module = SplitTableBatchedEmbeddingBagsCodegen(
        [(problem.rows, problem.dim, EmbeddingLocation.HOST, ComputeDevice.CPU)],
        optimizer=EmbOptimType[optimizer], learning_rate=LEARNING_RATE, eps=EPS,
        pooling_mode=PoolingMode.SUM if is_pooled else PoolingMode.NONE)
    table = module.split_embedding_weights()[0].detach()
    rowlane.use_huge_pages(table)
    table.normal_()
    batch, length = problem.shape
    offsets = torch.arange(0, batch * length + 1, length)

    def step(indices, gradient):
        module(indices, offsets).backward(gradient)

    return Contender("fbgemm_cpu", f"{optimizer}{', sum' if is_pooled else ''}", problem,
                     table, step, is_pooled)


def twins(problem, table, make, is_pooled=False, **arguments):
    ways = ["fused"] if is_pooled else ["fused", "unfused"]
    return [rowlane_contender(problem, table, make, way, is_pooled, **arguments) for way in ways]


def is_chosen(name, names):
    return not names or name in names


def huge_table(problem):
    """All contenders share it, but FBGEMM, which has its own."""
    table = torch.empty(problem.rows, problem.dim)
    rowlane.use_huge_pages(table)
    return table.normal_(generator=problem.generator)


def step_contenders(problem, chosen_ops):
    """(operation, [contender]) of the workload `step`."""
    table = huge_table(problem)
    for op, optimizer, arguments in (("step_sgd", "SGD", {}),
                                     ("step_adagrad", "Adagrad", {"eps": EPS}),
                                     ("step_sparse_adam", "SparseAdam", {})):
        if is_chosen(op, chosen_ops):
            yield op, twins(problem, table, getattr(rowlane.optim, optimizer), **arguments) + [
                torch_contender(problem, table, getattr(torch.optim, optimizer),
                                f"torch.optim.{optimizer}", True, **arguments)]
    if is_chosen("step_adam", chosen_ops):
        yield "step_adam", twins(problem, table, rowlane.optim.Adam) + [
            torch_contender(problem, table, torch.optim.Adam, "torch.optim.Adam, fused", False,
                            fused=True)]


def fbgemm_contenders(problem, chosen_ops, has_fbgemm):
    """(operation, [contender]) of FBGEMM's own shape: look-ups by themselves, then summed bags."""
    optimizers = [("step_sgd", "EXACT_SGD", rowlane.optim.SGD, {}),
                  ("step_adagrad", "EXACT_ADAGRAD", rowlane.optim.Adagrad, {"eps": EPS}),
                  ("step_rowwise_adagrad", "EXACT_ROWWISE_ADAGRAD", rowlane.optim.RowWiseAdagrad,
                   {"eps": EPS})]
    table = huge_table(problem)
    for op, optimizer, make, arguments in optimizers:
        for is_pooled in (False, True) if is_chosen(op, chosen_ops) else ():
            contenders = twins(problem, table, make, is_pooled, **arguments)
            if has_fbgemm:
                contenders.append(fbgemm_contender(problem, optimizer, is_pooled))
            yield op, contenders


# --- timing -----------------------------------------------------------------------------------


def time_interleaved(contenders, budget_s, min_samples):
    """Rounds, each in a new order; a contender that is much slower takes part in fewer of them."""
    costs = []
    for contender in contenders:
        for call in range(3):
            begin = time.perf_counter()
            contender.step(call)
            cost = time.perf_counter() - begin
        costs.append(cost)
    share = budget_s / len(contenders)
    planned = [max(min(min_samples, 5 if cost > 0.25 else min_samples), min(200, int(share / cost)))
               for cost in costs]
    rounds = max(planned)
    order = list(range(len(contenders)))
    shuffled = random.Random(0)
    for number in range(rounds):
        shuffled.shuffle(order)
        for i in order:
            if (number + 1) * planned[i] // rounds > number * planned[i] // rounds:
                begin = time.perf_counter()
                contenders[i].step(number)
                contenders[i].samples_ms.append(1e3 * (time.perf_counter() - begin))


def quantile(values, share):
    values = sorted(values)
    position = share * (len(values) - 1)
    below = int(position)
    above = min(below + 1, len(values) - 1)
    return values[below] + (position - below) * (values[above] - values[below])


def measure(problem, op, contenders, options, results):
    errors = [contender.prove(op) for contender in contenders]
    time_interleaved(contenders, options.budget, 2 if options.quick else 11)
    for contender, error in zip(contenders, errors):
        results.append({
            **problem.row(), "op": op, "impl": contender.impl, "algorithm": contender.algorithm,
            "language": "python", "pooling": "sum" if contender.is_pooled else "none",
            "median_ms": statistics.median(contender.samples_ms),
            "p20_ms": quantile(contender.samples_ms, 0.2),
            "p80_ms": quantile(contender.samples_ms, 0.8), "samples": len(contender.samples_ms),
            "cache": "warm", "max_abs_error": error})
        print(f"  {op:<22}{contender.impl + ' ' + contender.algorithm:<46}"
              f"{results[-1]['median_ms']:10.3f} ms", file=sys.stderr, flush=True)
        contender.samples_ms.clear()


def find_fbgemm():
    # It warns of a version of torch that it has no entry for, and of the CUDA that it isn't for.
    logging.disable(logging.WARNING)
    try:
        import fbgemm_gpu  # noqa: F401
    except ImportError:
        return False
    finally:
        logging.disable(logging.NOTSET)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=("step", "fbgemm-default"))
    parser.add_argument("--json", type=pathlib.Path, required=True, help="the file to write")
    parser.add_argument("--budget", type=float, default=8.0,
                        help="seconds of timing per operation and problem")
    parser.add_argument("--op", action="append", help="only this operation; may be repeated")
    parser.add_argument("--quick", action="store_true", help="tiny tables")
    options = parser.parse_args()
    if options.quick:
        options.budget = 0.02
    results, skipped = [], []
    rows, count = (2000, 500) if options.quick else (1_000_000, 32768)
    shape = (32, 4) if options.quick else (512, 20)
    try:
        for law in ("uniform", "zipf(1.0)") if options.workload == "step" else ():
            problem = Problem("step", 1.0, rows, (count, 1), law)
            for op, contenders in step_contenders(problem, options.op):
                measure(problem, op, contenders, options, results)
        if options.workload == "fbgemm-default":
            has_fbgemm = find_fbgemm()
            # One of the 32 tables of FBGEMM's default benchmark.
            problem = Problem("fbgemm-default", 1 / 32, min(rows, 100_000), shape, "uniform")
            for op, contenders in fbgemm_contenders(problem, options.op, has_fbgemm):
                measure(problem, op, contenders, options, results)
                if not has_fbgemm:
                    skipped.append({**problem.row(), "op": op, "impl": "fbgemm_cpu",
                                    "pooling": results[-1]["pooling"],
                                    "reason": f"fbgemm_gpu is not installed: {GET_FBGEMM}"})
    except WrongStep as error:
        print(f"peers.py: {error}", file=sys.stderr)
        return 1
    document = {
        "schema": 1, "date": datetime.datetime.now(datetime.timezone.utc).strftime("%FT%TZ"),
        "torch": torch.__version__.split("+")[0], "threads": torch.get_num_threads(),
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "default"), "results": results,
        "skipped": skipped}
    options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
