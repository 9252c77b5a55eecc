#!/usr/bin/env python3
"""Draws the results of rowlane-traffic: a PNG, and an HTML page of plots and tables."""

import html
import sys

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

import results
from page import (
    cell, group_by_workload, head_row, inline_svg, ratio_cell, run_report, save_png,
    shade_workloads, soften, table, write_page)
from results import (
    BadResults, format_bytes, format_ms, format_ratio, geometric_mean, key_of, read_document)

# Name, colour and marker of what is shown, in the order in which it is shown.
STYLES = {
    ("forward", "rowlane"): ("Rowlane forward", "#0a7d6c", "o"),
    ("backward_dense", "sorted"): ("Rowlane backward, sorted", "#35b79a", "D"),
    ("backward_dense", "small"): ("Rowlane backward, small", "#2c6fbb", "^"),
    ("backward_dense", "atomic"): ("Rowlane backward, atomic", "#8cc63f", "P"),
    ("backward_rows", "sorted"): ("Rowlane row gradient", "#7d5ba6", "v"),
    ("step_sgd", "fused"): ("Rowlane fused SGD", "#c2508f", "<"),
    ("step_adam", "fused"): ("Rowlane fused Adam", "#5a6472", ">"),
    ("forward", "torch"): ("torch forward, by formula", "#b0862c", "|"),
    ("backward_dense", "torch"): ("torch backward, by formula", "#d9822b", "s"),
    ("backward_dense", "cuembed"): ("cuEmbed backward, by formula", "#c0504d", "X"),
    ("backward_dense", "liger"): ("Liger backward, by formula", "#8c6d46", "*"),
}
PEERS = ("torch", "cuembed", "liger")
OPS = {"forward": "forward", "backward_dense": "backward, dense gradient",
       "backward_rows": "backward, row gradient", "step_sgd": "fused SGD",
       "step_adam": "fused Adam"}


class Problem(results.Problem):
    """One workload, shape and law of indices, with what each kernel moves: rows by (op, who)."""

    def torch(self, op):
        return self.rows.get((op, "torch"))


def who_of(row):
    if row["impl"] != "rowlane":
        return row["impl"].removesuffix("_by_formula")
    return "rowlane" if row["op"] == "forward" else row["algorithm"]


def read_results(path):
    """Returns the document and its problems, in the order of the file."""
    document = read_document(path)
    problems = {}
    for row in document["results"]:
        if "modelled_us" in row and row["op"] in OPS:
            problem = problems.setdefault(key_of(row), Problem(row))
            problem.rows[row["op"], who_of(row)] = row
    if not problems:
        raise BadResults(f"{path} holds no traffic.")
    return document, list(problems.values())


def dram_bytes(row):
    return row["dram_read_bytes"] + row["dram_write_bytes"]


def times_floor(row):
    return dram_bytes(row) / row["floor_bytes"]


def device_name(document):
    return document["device"]["name"].upper()


# --- plots ------------------------------------------------------------------------------------


def plot_points(axes, problems, value_of, has_labels):
    """A line per problem from the top down, a marker per kernel."""
    shade_workloads(axes, problems)
    axes.axvline(1, color="#808a96", linewidth=1.5)
    for who, (label, colour, marker) in STYLES.items():
        points = [(value_of(problem, who), y) for y, problem in enumerate(problems)
                  if who in problem.rows]
        points = [point for point in points if point[0] is not None]
        if points:
            axes.scatter(*zip(*points), color=colour, marker=marker, label=label, s=30, zorder=3)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}×"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda x, _: ""))
    axes.grid(axis="x", alpha=0.25)
    axes.set_ylim(len(problems) - 0.5, -0.5)
    axes.set_yticks(range(len(problems)), [p.label for p in problems] if has_labels else [])
    soften(axes)


def speed_up(problem, who):
    """Torch's modelled time over this one's, or None for torch itself."""
    op, name = who
    torch = problem.torch(op)
    if name == "torch" or torch is None:
        return None
    return torch["modelled_us"] / problem.rows[who]["modelled_us"]


def draw(problems):
    figure, (bytes_axes, time_axes) = plt.subplots(
        1, 2, figsize=(14, max(1.5, 0.24 * len(problems)) + 1.9), layout="constrained")
    plot_points(bytes_axes, problems, lambda problem, who: times_floor(problem.rows[who]), True)
    bytes_axes.set_title("DRAM bytes over the fewest possible", loc="left", fontweight="bold")
    bytes_axes.set_xlabel("nearer to 1 is better")
    ticks = [1, 1.2, 1.5, 2, 3, 4, 6, 10, 20, 50]
    highest = bytes_axes.get_xlim()[1]
    bytes_axes.set_xticks([tick for tick in ticks if tick <= max(highest, 1.2)])
    plot_points(time_axes, problems, speed_up, False)
    time_axes.set_title("torch's modelled time over Rowlane's", loc="left", fontweight="bold")
    time_axes.set_xlabel("a model of both, not a measurement; further to the right is better")
    handles, labels = bytes_axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)),
                  frameon=False)
    return figure


def describe(document):
    return (f"counted on the emulated device as a modelled {device_name(document)}, no GPU took "
            f"part · commit {document['commit']} · {document['date']}")


def write_png(path, document, problems):
    save_png(path, draw(problems), f"Rowlane traffic\n{describe(document)}")


# --- the page ---------------------------------------------------------------------------------


def traffic_cells(row):
    sectors = f"{100 * row['sector_use']:.1f}%" if "sector_use" in row else ""
    chain = f"{row['longest_atomic_chain']:,}" if row["longest_atomic_chain"] else ""
    return "".join(map(cell, [
        str(row["launches"]), format_bytes(row["dram_read_bytes"]),
        format_bytes(row["dram_write_bytes"]), f"{times_floor(row):.3f}", sectors, chain,
        format_ms(row["modelled_us"] / 1e3), row["slowest"]]))


def problem_rows(problem):
    title = html.escape(problem.title)
    yield f'<tr class="problem"><td colspan="10">{title}</td></tr>'
    for who, (label, _, _) in STYLES.items():
        row = problem.rows.get(who)
        if row is None:
            continue
        is_peer = who[1] in PEERS
        if is_peer and row["algorithm"] != "gather":
            label += f": {row['algorithm']}"
        ratio = speed_up(problem, who)
        faster = cell("") if ratio is None else ratio_cell(ratio)
        kind = ' class="baseline"' if is_peer else ""
        yield f"<tr{kind}>{cell(label)}{traffic_cells(row)}{faster}</tr>"


def workload_section(workload, problems):
    head = head_row(["", "launches", "DRAM read", "DRAM write", "of floor", "sectors",
                     "atomic chain", "modelled", "bound by", "modelled speed-up"])
    body = [line for problem in problems for line in problem_rows(problem)]
    return f"<h2>{html.escape(workload)}</h2>{table(head, body)}"


def facts(problems):
    """The headline figures: (figure, sentence)."""
    for who, (label, _, _) in STYLES.items():
        ratios = [times_floor(problem.rows[who]) for problem in problems if who in problem.rows]
        if ratios:
            yield (f"{geometric_mean(ratios):.3f}", f"{label}: DRAM bytes over the fewest "
                   f"possible, geometric mean of {len(ratios)} problems; the worst is "
                   f"{max(ratios):.2f}")
    for who in (("forward", "rowlane"), ("backward_dense", "sorted")):
        ratios = [speed_up(problem, who) for problem in problems if who in problem.rows]
        if ratios:
            yield (format_ratio(geometric_mean(ratios)),
                   f"modelled speed of {STYLES[who][0]} over torch's algorithm, geometric mean")


def write_html(path, document, problems):
    sections = "".join(workload_section(*item) for item in group_by_workload(problems).items())
    body = f"""<p>Rowlane's bytes are counts of its own kernels, run thread by thread on an emulated device with a
cold L2; all times are modelled by a roofline; the rows of torch, cuEmbed and Liger are formulas of
what their algorithms do, timed by the same roofline. <b>of floor</b>: bytes between DRAM and the L2
over the fewest possible: of a gather, the same look-ups by an ideal kernel through the same L2; of
the dense gradient, every gradient row and index read and the table written once, plus the sort
where there is one;
<b>sectors</b>: bytes that threads asked for, of the 32-byte sectors that they touched;
<b>atomic chain</b>: the most additions to one address. A scale below 1 means that rows, indices and
the L2 are that share of the published workload's and the device's.</p>
<div class="plot">{inline_svg(lambda: draw(problems))}</div>
{sections}"""
    write_page(path, "Rowlane traffic", describe(document), facts(problems), body)


if __name__ == "__main__":
    sys.exit(run_report(__doc__, "rowlane-traffic", read_results, write_png, write_html))
