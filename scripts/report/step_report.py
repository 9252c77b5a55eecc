#!/usr/bin/env python3
"""Puts the training steps of rowlane-step and of benchmarks/step/peers.py into one table, one JSON
file and a plot, and says of each bar whether it is met."""

import argparse
import collections
import json
import pathlib
import sys

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

from page import save_png, soften
from results import (
    BadResults, describe, format_bytes, format_error, format_ms, format_ratio, format_spread,
    read_document)

FUSED = ("rowlane", "fused")
NAMES = {"nn_embedding_sparse": "nn.Embedding(sparse)", "nn_embedding_dense": "nn.Embedding dense",
         "fbgemm_cpu": "FBGEMM"}
COLOURS = {"step_sgd": "#0a7d6c", "step_adagrad": "#d9822b", "step_adam": "#8250c4"}
# A peer that Rowlane's fused step is held against, in one run: operation, language, peer, factor.
SPEED_BARS = [
    ("step_sgd", "c++", "nn_embedding_sparse", 2),
    ("step_adagrad", "c++", "nn_embedding_sparse", 5),
    ("step_sparse_adam", "python", "nn_embedding_sparse", 7),
    ("step_adam", "c++", "nn_embedding_dense", 60),
]
MOST_GROWTH = 1.3


def problem_of(row):
    return tuple(row[name] for name in ("workload", "rows", "dim", "num_indices", "indices"))


def label_of(row):
    name = NAMES.get(row["impl"], row["impl"])
    return name if row["algorithm"] == "default" else f"{name} {row['algorithm']}"


def find(rows, **wanted):
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


# --- the table --------------------------------------------------------------------------------


def print_tables(rows, skipped):
    """A line per contender; a ratio is that of two medians of one run, so of one language."""
    groups = collections.defaultdict(list)
    for row in rows:
        if row["workload"] in ("step", "fbgemm-default"):
            groups[problem_of(row), row["op"], row.get("pooling", "none")].append(row)
    title = None
    for (problem, op, pooling), contenders in groups.items():
        if problem != title:
            title = problem
            workload, num_rows, dim, count, law = problem
            print(f"\n{workload}  {num_rows:,} x {dim} float32, {count:,} indices, {law}\n"
                  f"{'':<54}{'median':>10}{'±':>7}{'fused is':>12}{'peak':>10}{'error':>9}")
        bags = ", summed in bags" if pooling == "sum" else ""
        print(f"  {op}{bags}")
        for row in sorted(contenders, key=lambda row: row["language"]):
            own = next(iter(find(contenders, impl=FUSED[0], algorithm=FUSED[1],
                                 language=row["language"])), None)
            ratio = "" if own is None or own is row else format_ratio(
                row["median_ms"] / own["median_ms"])
            peak = format_bytes(row["peak_bytes"]) if "peak_bytes" in row else ""
            error = format_error(row["max_abs_error"]) if "max_abs_error" in row else ""
            print(f"    {row['language']:<8}{label_of(row):<42}{format_ms(row['median_ms']):>10}"
                  f"{format_spread(row):>7}{ratio:>12}{peak:>10}{error:>9}")
        for row in find(skipped, op=op, workload=problem[0], indices=problem[4]):
            if row.get("pooling", "none") == pooling:
                print(f"    {NAMES.get(row['impl'], row['impl'])} skipped: {row['reason']}")


def print_growth(rows, skipped):
    for workload, size, what in (("step-rows", "rows", "rows of the table"),
                                 ("step-indices", "num_indices", "indices of the look-up")):
        for op, line in curves(rows, workload):
            print(f"\n{op}, fused, by {what}")
            for row in line:
                print(f"    {row[size]:>12,}{format_ms(row['median_ms']):>12}"
                      f"{format_bytes(row['peak_bytes']):>12}{row['gb_per_s']:>9.1f} GB/s")
            for row in find(skipped, workload=workload, op=op):
                print(f"    {row[size]:>12,}  skipped: {row['reason']}")


def curves(rows, workload):
    """(operation, its rows in order)."""
    for op in COLOURS:
        line = find(rows, workload=workload, op=op)
        if line:
            yield op, line


# --- bars -------------------------------------------------------------------------------------


def bars(rows):
    """(sentence, whether it is met, or None where something is missing)."""
    for op, language, peer, factor in SPEED_BARS:
        for law in ("uniform", "zipf(1.0)"):
            chosen = {"workload": "step", "op": op, "language": language, "indices": law}
            own = find(rows, impl=FUSED[0], algorithm=FUSED[1], **chosen)
            others = find(rows, impl=peer, **chosen)
            yield bar(f"{op}, fused, {law}: {factor} x as fast as {NAMES[peer]}", own, others,
                      factor)
    for op in ("step_sgd", "step_adagrad", "step_rowwise_adagrad"):
        for pooling, what in (("none", "look-ups"), ("sum", "sums of 20")):
            chosen = {"workload": "fbgemm-default", "op": op, "pooling": pooling}
            own = find(rows, impl=FUSED[0], algorithm=FUSED[1], **chosen)
            yield bar(f"{op}, fused, {what}: as fast as FBGEMM on the CPU", own,
                      find(rows, impl="fbgemm_cpu", **chosen), 1)
    for op, line in curves(rows, "step-rows"):
        for name, what in (("median_ms", "time"), ("peak_bytes", "peak memory")):
            values = [row[name] for row in line]
            growth = max(values) / min(values)
            yield (f"{op}, fused: {what} from {line[0]['rows']:,} to {line[-1]['rows']:,} rows "
                   f"within {MOST_GROWTH} x: {growth:.2f} x", growth <= MOST_GROWTH)


def bar(sentence, own, others, factor):
    if not own or not others:
        return f"{sentence}: not measured", None
    ratio = others[0]["median_ms"] / own[0]["median_ms"]
    return f"{sentence}: {format_ratio(ratio)}", ratio >= factor


# --- the plot ---------------------------------------------------------------------------------


def plot_curves(axes, rows, workload, size, value, labels):
    for op, line in curves(rows, workload):
        axes.plot([row[size] for row in line], [row[value] for row in line], marker="o",
                  color=COLOURS[op], label=op)
    # A straight line is what both are held to: level, or through the origin.
    axes.set_xscale("log" if workload == "step-rows" else "linear")
    axes.set_ylim(bottom=0)
    axes.set_title(labels[0], loc="left", fontweight="bold", fontsize=10)
    axes.set_xlabel(labels[1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(
        lambda y, _: format_bytes(y) if value == "peak_bytes" else f"{y:g} ms"))
    axes.grid(alpha=0.25)
    soften(axes)


def write_png(path, document):
    rows = document["results"]
    figure, grid = plt.subplots(2, 2, figsize=(12, 8), layout="constrained")
    look_up = next(iter(find(rows, workload="step-rows")), {"num_indices": 0})["num_indices"]
    table = next(iter(find(rows, workload="step-indices")), {"rows": 0})["rows"]
    for column, (workload, size, fixed, label) in enumerate((
            ("step-rows", "rows", f"{look_up:,} indices", "rows of the table"),
            ("step-indices", "num_indices", f"{table:,} rows", "indices"))):
        plot_curves(grid[0][column], rows, workload, size, "median_ms",
                    (f"time of a fused step, {fixed}", label))
        plot_curves(grid[1][column], rows, workload, size, "peak_bytes",
                    (f"peak memory beside table and state, {fixed}", label))
    grid[0][0].legend(frameon=False)
    save_png(path, figure, f"Rowlane training steps\n{describe(document)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cpp", type=pathlib.Path, help="the file of rowlane-step --json")
    parser.add_argument("python", type=pathlib.Path, nargs="+", help="files of peers.py --json")
    parser.add_argument("--json", type=pathlib.Path, required=True, help="both together")
    parser.add_argument("--png", type=pathlib.Path, help="default: beside the JSON")
    arguments = parser.parse_args()
    png = arguments.png or arguments.json.with_suffix(".png")
    try:
        document = read_document(arguments.cpp)
        document["python_omp_wait_policy"] = {}
        for path in arguments.python:
            python = read_document(path)
            document["results"] += python["results"]
            document["skipped"] += python["skipped"]
            for row in python["results"][:1]:
                document["python_omp_wait_policy"][row["workload"]] = python["omp_wait_policy"]
        rows, skipped = document["results"], document["skipped"]
        print_tables(rows, skipped)
        print_growth(rows, skipped)
        document["bars"] = [{"bar": sentence, "met": is_met} for sentence, is_met in bars(rows)]
        print()
        for row in document["bars"]:
            verdict = {True: "met", False: "NOT MET", None: "missing"}[row["met"]]
            print(f"  {verdict:<9}{row['bar']}")
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
        write_png(png, document)
    except (BadResults, OSError) as error:
        print(f"step_report.py: {error}", file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"step_report.py: a row has no {error}.", file=sys.stderr)
        return 1
    print(f"\nWritten to {arguments.json} and {png}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
