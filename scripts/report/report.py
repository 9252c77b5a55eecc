#!/usr/bin/env python3
"""Draws the results of rowlane-bench: a PNG, and a self-contained HTML page of plots and tables."""

import collections
import html
import sys

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

import results
from page import (
    cell, group_by_workload, head_row, inline_svg, ratio_cell, run_report, save_png,
    shade_workloads, soften, table, write_page)
from results import (
    BadResults, describe, format_bytes, format_error, format_ms, format_ratio, format_spread,
    geometric_mean, key_of, read_document, three_digits)

BASELINE = ("nn_embedding", "default")
OPS = {"forward": "forward", "backward_dense": "backward, dense gradient"}

# Name, colour and marker of each implementation, in the order in which they are shown.
STYLES = {
    ("nn_embedding", "default"): ("nn.Embedding", "#808a96", "|"),
    ("rowlane", "auto"): ("rowlane auto", "#0a7d6c", "o"),
    ("rowlane", "sorted"): ("rowlane sorted", "#35b79a", "D"),
    ("rowlane", "atomic"): ("rowlane atomic", "#8cc63f", "P"),
    ("parameter_index", "default"): ("p.index({i})", "#d9822b", "s"),
    ("one_hot_matmul", "default"): ("one-hot matmul", "#8250c4", "^"),
    ("one_hot_linear", "default"): ("one-hot nn.Linear", "#c2569b", "v"),
}
EXTRA_COLOURS = ["#3b6fb6", "#a33b3b", "#5f6b2f", "#444444"]


# --- reading ----------------------------------------------------------------------------------


def style_of(implementation):
    if implementation in STYLES:
        return STYLES[implementation]
    name, algorithm = implementation
    label = name if algorithm == "default" else f"{name} {algorithm}"
    return label, EXTRA_COLOURS[sum(map(ord, label)) % len(EXTRA_COLOURS)], "X"


def order_of(implementation):
    known = list(STYLES)
    return known.index(implementation) if implementation in known else len(known)


class Problem(results.Problem):
    """A problem with all that was measured on it: rows by (op, implementation)."""

    def __init__(self, row):
        super().__init__(row)
        self.skipped = []

    def implementations(self):
        return sorted({implementation for _, implementation in self.rows}, key=order_of)

    def speed_up(self, op, implementation):
        """The baseline's median over this one's, or None."""
        row, baseline = self.rows.get((op, implementation)), self.rows.get((op, BASELINE))
        return baseline["median_ms"] / row["median_ms"] if row and baseline else None


def read_results(path):
    """Returns the document and its problems, in the order of the file."""
    document = read_document(path)
    problems = {}
    for row in document["results"]:
        if "median_ms" in row and row["op"] in OPS:
            problem = problems.setdefault(key_of(row), Problem(row))
            problem.rows[row["op"], (row["impl"], row["algorithm"])] = row
    for row in document.get("skipped", []):
        if key_of(row) in problems:
            problems[key_of(row)].skipped.append(row)
    if not problems:
        raise BadResults(f"{path} holds no timings.")
    return document, list(problems.values())


def geometric_means(problems):
    """(op, implementation) -> (geometric mean, worst, number) of the speed-ups."""
    speed_ups = collections.defaultdict(list)
    for problem in problems:
        for op, implementation in problem.rows:
            ratio = problem.speed_up(op, implementation)
            if ratio is not None and implementation != BASELINE:
                speed_ups[op, implementation].append(ratio)
    return {
        key: (geometric_mean(ratios), min(ratios), len(ratios))
        for key, ratios in speed_ups.items()
    }


def memory_comparisons(problems):
    """Problems with measured peaks: (problem, [(implementation, bytes, is_estimate)]).

    Each shape once: the law of the indices makes no difference to memory.
    """
    comparisons, seen = [], set()
    for problem in problems:
        peaks = {}
        for (_, implementation), row in problem.rows.items():
            if "peak_bytes" in row:
                peaks[implementation] = (row["peak_bytes"], False)
        for row in problem.skipped:
            if "estimated_peak_bytes" in row:
                peaks[row["impl"], "default"] = (row["estimated_peak_bytes"], True)
        shape = problem.title.rsplit(" indices, ", 1)[0]
        if peaks and (problem.workload, shape) not in seen:
            seen.add((problem.workload, shape))
            ordered = sorted(peaks.items(), key=lambda item: order_of(item[0]))
            comparisons.append((problem, [(who, *peak) for who, peak in ordered]))
    return comparisons


# --- plots ------------------------------------------------------------------------------------


def plot_speed_ups(axes, problems, op, has_labels):
    """A line per problem from the top down, a marker per implementation."""
    rows = [problem for problem in problems if (op, BASELINE) in problem.rows]
    shown = sorted({who for problem in rows for _, who in problem.rows}, key=order_of)
    shade_workloads(axes, rows)
    axes.axvline(1, color=style_of(BASELINE)[1], linewidth=1.5)
    for implementation in reversed(shown):
        if implementation == BASELINE:
            continue
        label, colour, marker = style_of(implementation)
        points = [
            (problem.speed_up(op, implementation), y)
            for y, problem in enumerate(rows)
            if (op, implementation) in problem.rows
        ]
        if points:
            is_own = implementation == ("rowlane", "auto")
            axes.scatter(*zip(*points), color=colour, marker=marker, label=label,
                         s=46 if is_own else 24, zorder=4 if is_own else 3)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(
        lambda x, _: f"1/{1 / x:,.0f}" if x < 0.999 else f"{x:,.0f}×"))
    axes.grid(axis="x", alpha=0.25)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [problem.label for problem in rows] if has_labels else [])
    axes.set_title(OPS[op], loc="left", fontweight="bold")
    axes.set_xlabel("speed-up over nn.Embedding (its median / this median)")
    soften(axes)


def plot_memory(axes, comparison):
    problem, peaks = comparison
    for y, (implementation, count, is_estimate) in enumerate(peaks):
        _, colour, _ = style_of(implementation)
        axes.barh(y, count, color=colour, height=0.65, alpha=0.45 if is_estimate else 1.0)
        axes.text(count, y, f"  {format_bytes(count)}{' (estimated)' if is_estimate else ''}",
                  va="center", fontsize=8)
    axes.set_yticks(range(len(peaks)), [style_of(who)[0] for who, _, _ in peaks])
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format_bytes(x) if x else "0"))
    axes.set_title(f"peak memory of forward + backward, {problem.workload}\n"
                   f"{problem.title.rsplit(',', 1)[0]}", loc="left", fontweight="bold", fontsize=9)
    soften(axes)


def draw(problems):
    """The figure with all plots."""
    comparisons = memory_comparisons(problems)[:2]
    num_lines = max(sum((op, BASELINE) in problem.rows for problem in problems) for op in OPS)
    heights = [max(1.5, 0.24 * num_lines), 1.7] if comparisons else [max(1.5, 0.24 * num_lines)]
    figure = plt.figure(figsize=(14, sum(heights) + 1.9), layout="constrained")
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    for column, op in enumerate(OPS):
        plot_speed_ups(figure.add_subplot(grid[0, column]), problems, op, has_labels=column == 0)
    for column, comparison in enumerate(comparisons):
        plot_memory(figure.add_subplot(grid[1, column]), comparison)
    handles = {}
    for axes in figure.axes[:2]:
        handles.update(zip(*reversed(axes.get_legend_handles_labels())))
    known = {who for problem in problems for _, who in problem.rows}
    labels = [style_of(who)[0] for who in sorted(known, key=order_of) if who != BASELINE]
    figure.legend([handles[label] for label in labels], labels, loc="outside lower center",
                  ncols=max(1, len(labels)), frameon=False)
    return figure


def write_png(path, document, problems):
    save_png(path, draw(problems), f"Rowlane benchmark\n{describe(document)}")


# --- the page ---------------------------------------------------------------------------------

def op_cells(problem, op, implementation):
    row = problem.rows.get((op, implementation))
    if row is None:
        return '<td class="gap"></td>' + "<td></td>" * 4
    return (cell(format_ms(row["median_ms"]), "gap") + cell(format_spread(row))
            + cell(three_digits(row["gb_per_s"]))
            + ratio_cell(problem.speed_up(op, implementation))
            + cell(format_error(row["max_abs_error"])))


def problem_rows(problem, ops):
    title = html.escape(problem.title)
    yield f'<tr class="problem"><td colspan="{1 + 5 * len(ops)}">{title}</td></tr>'
    for implementation in problem.implementations():
        cells = "".join(op_cells(problem, op, implementation) for op in ops)
        kind = ' class="baseline"' if implementation == BASELINE else ""
        yield f"<tr{kind}>{cell(style_of(implementation)[0])}{cells}</tr>"
    for row in problem.skipped:
        label = style_of((row["impl"], "default"))[0]
        text = html.escape(f"skipped: {row['reason']}")
        yield (f'<tr class="skipped">{cell(label)}'
               f'<td class="gap" colspan="{5 * len(ops)}">{text}</td></tr>')


def workload_section(workload, problems):
    ops = [op for op in OPS if any(key[0] == op for problem in problems for key in problem.rows)]
    spans = "".join(f'<th colspan="5">{OPS[op]}</th>' for op in ops)
    head = f"<tr><th></th>{spans}</tr>" + head_row(
        [""] + ["median", "±", "GB/s", "speed-up", "error"] * len(ops))
    body = [line for problem in problems for line in problem_rows(problem, ops)]
    return f"<h2>{html.escape(workload)}</h2>{table(head, body)}"


def summary_table(means):
    body = []
    for implementation in sorted({who for _, who in means}, key=order_of):
        cells = cell(style_of(implementation)[0])
        for op in OPS:
            mean, worst, count = means.get((op, implementation), (None, None, ""))
            cells += ratio_cell(mean) + ratio_cell(worst) + cell(str(count))
        body.append(f"<tr>{cells}</tr>")
    spans = "".join(f'<th colspan="3">{name}</th>' for name in OPS.values())
    head = f"<tr><th></th>{spans}</tr>" + head_row([""] + ["mean", "worst", "problems"] * 2)
    return table(head, body)


def memory_table(problem, peaks):
    baseline = dict((who, count) for who, count, _ in peaks).get(BASELINE)
    body = []
    for implementation, count, is_estimate in peaks:
        ratio = format_ratio(count / baseline) if baseline else ""
        texts = [style_of(implementation)[0], format_bytes(count), ratio,
                 "estimated" if is_estimate else "measured"]
        body.append(f"<tr>{''.join(map(cell, texts))}</tr>")
    title = html.escape(f"{problem.workload}, {problem.title}")
    return f"<p><b>{title}</b></p>" + table(
        head_row(["", "peak", "of nn.Embedding's", ""]), body)


def facts(document, problems, means):
    """The headline figures: (figure, sentence)."""
    for op, name in (("backward_dense", "backward"), ("forward", "forward")):
        if (op, ("rowlane", "auto")) in means:
            mean, worst, count = means[op, ("rowlane", "auto")]
            yield (format_ratio(mean), f"speed of Rowlane's {name} over nn.Embedding's, geometric "
                   f"mean of {count} problems; the worst is {format_ratio(worst)}")
    for problem, peaks in memory_comparisons(problems)[:1]:
        bytes_of = {who: count for who, count, _ in peaks}
        own, one_hot = ("rowlane", "auto"), ("one_hot_matmul", "default")
        if own in bytes_of and one_hot in bytes_of:
            yield (format_ratio(bytes_of[one_hot] / bytes_of[own]), "memory of the one-hot product "
                   f"over Rowlane's on {problem.workload}: {format_bytes(bytes_of[one_hot])} and "
                   f"{format_bytes(bytes_of[own])}")


def write_html(path, document, problems):
    means = geometric_means(problems)
    memory = "".join(memory_table(*comparison) for comparison in memory_comparisons(problems))
    sections = "".join(workload_section(*item) for item in group_by_workload(problems).items())
    body = f"""<p>Every implementation was first checked against sums in double precision, then all were timed in
one interleaved run. <b>median</b>: of one call; <b>±</b>: half the distance from the 20th to the 80th
percentile; <b>GB/s</b>: bytes of rows read, rows written and indices over the median;
<b>speed-up</b>: nn.Embedding's median over this one; <b>error</b>: largest absolute error of the
output or the gradient. A scale below 1 means that rows and indices are that share of the published
workload's.</p>
<h2>Speed-up over nn.Embedding</h2>{summary_table(means)}
<div class="plot">{inline_svg(lambda: draw(problems))}</div>
{"<h2>Peak memory of a forward and backward pass, beside the table</h2>" + memory if memory else ""}
{sections}"""
    write_page(path, "Rowlane benchmark", describe(document), facts(document, problems, means), body)


if __name__ == "__main__":
    sys.exit(run_report(__doc__, "rowlane-bench", read_results, write_png, write_html))
