#!/usr/bin/env python3
"""Draws the results of rowlane-bench: a PNG, and a self-contained HTML page of plots and tables."""

import argparse
import collections
import html
import io
import json
import math
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

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

# Text and lines of the page's plots have this colour until it is replaced by the page's own.
INK = "#010203"


class BadResults(Exception):
    """The file isn't what rowlane-bench writes; the text is a sentence."""


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


class Problem:
    """One workload, shape and law of indices with all that was measured on it."""

    def __init__(self, row):
        self.key = key_of(row)
        self.workload = row["workload"]
        self.title = (
            f"{row['rows']:,} x {row['dim']:,} {row['dtype']}, {row['num_indices']:,} "
            f"{row['index_dtype']} indices, {row['indices']}"
        )
        if row["scale"] < 1:
            self.title += f", scale 1/{1 / row['scale']:.0f}"
        short_dtype = row["dtype"].replace("bfloat", "bf").replace("float", "f")
        self.label = (
            f"{self.workload}  {row['rows']:,}×{row['dim']:,} {short_dtype}, "
            f"{row['num_indices']:,} {row['indices'].replace('ml-100k ', '')}"
        )
        self.rows = {}  # (op, implementation) -> row
        self.skipped = []

    def implementations(self):
        return sorted({implementation for _, implementation in self.rows}, key=order_of)

    def speed_up(self, op, implementation):
        """The baseline's median over this one's, or None."""
        row, baseline = self.rows.get((op, implementation)), self.rows.get((op, BASELINE))
        return baseline["median_ms"] / row["median_ms"] if row and baseline else None


def key_of(row):
    names = ("workload", "scale", "dtype", "index_dtype", "rows", "dim", "num_indices", "indices")
    return tuple(row[name] for name in names)


def read_document(path):
    """The document of a benchmark program, checked to be of the schema that is read here."""
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise BadResults(f"{path} can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise BadResults(f"{path} is not JSON: {error}.") from error
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise BadResults(f"{path} does not hold results of schema 1.")
    return document


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


# --- numbers for people -----------------------------------------------------------------------


def three_digits(value):
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}"


def in_units(value, units):
    for size, unit in units:
        if value >= 0.9995 * size:
            break
    return f"{three_digits(value / size)} {unit}"


def format_ms(ms):
    return in_units(ms, [(1e3, "s"), (1, "ms"), (1e-3, "µs"), (1e-6, "ns")])


def format_bytes(count):
    return in_units(count, [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")])


def format_ratio(ratio):
    return f"1/{1 / ratio:,.0f}" if ratio < 0.095 else f"{three_digits(ratio)}×"


def format_spread(row):
    if row["samples"] < 2:
        return "once"
    return f"±{50 * (row['p80_ms'] - row['p20_ms']) / row['median_ms']:.0f}%"


def format_error(error):
    return "0" if error == 0 else f"{error:.1e}"


def geometric_mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


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


def soften(axes):
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)


def plot_speed_ups(axes, problems, op, has_labels):
    """A line per problem from the top down, a marker per implementation."""
    rows = [problem for problem in problems if (op, BASELINE) in problem.rows]
    shown = sorted({who for problem in rows for _, who in problem.rows}, key=order_of)
    workload, is_shaded = None, False
    for y, problem in enumerate(rows):
        if problem.workload != workload:
            workload, is_shaded = problem.workload, not is_shaded
        if is_shaded:
            axes.axhspan(y - 0.5, y + 0.5, color="#808a96", alpha=0.10, linewidth=0)
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


def describe(document):
    device = document["device"]
    threads = f", {document['threads']} threads" if device["kind"] == "cpu" else ""
    cuda = f" (CUDA {document['cuda']})" if document.get("cuda") else ""
    malloc = f" · malloc {document['malloc']}" if document.get("malloc") else ""
    return (f"{device['name']}{threads} · torch {document['torch']}{cuda}{malloc} · "
            f"commit {document['commit']} · {document['date']}")


def write_png(path, document, problems):
    figure = draw(problems)
    figure.suptitle(f"Rowlane benchmark\n{describe(document)}", x=0.01, ha="left", fontsize=11)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def inline_svg(draw_figure):
    """The figure that draw_figure() makes as an element of the page, in the page's text colour."""
    with matplotlib.rc_context({"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK,
                                "xtick.color": INK, "ytick.color": INK, "svg.fonttype": "none",
                                "svg.hashsalt": "rowlane", "font.family": "sans-serif"}):
        figure = draw_figure()
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg"):].replace(INK, "currentColor")


# --- the page ---------------------------------------------------------------------------------

CSS = """
:root { --ink: #1c2430; --soft: #64707d; --line: #dde2e8; --card: #f6f8fa; --page: #ffffff;
        --good: #0a7d46; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8ee; --soft: #93a0ae; --line: #303944; --card: #1b222b; --page: #12171d;
          --good: #4ccb8f; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 78rem; color: var(--ink);
       background: var(--page); font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.7rem; } h2 { margin: 2.5rem 0 .6rem; font-size: 1.15rem; }
.soft { color: var(--soft); } .plot svg { width: 100%; height: auto; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .8rem;
         margin: 1.5rem 0; }
.fact { padding: .8rem 1rem; border-radius: .5rem; background: var(--card); }
.fact b { display: block; font-size: 1.5rem; line-height: 1.3; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 500; } th:first-child, td:first-child { text-align: left; }
tr.problem td { padding-top: .9rem; font-weight: 600; }
tr.baseline td { color: var(--soft); } tr.skipped td { color: var(--soft); text-align: left; }
td.gap { padding-left: 2rem; } .good { color: var(--good); } .bad { color: var(--bad); }
"""


def cell(text, classes=""):
    attribute = f' class="{classes}"' if classes else ""
    return f"<td{attribute}>{html.escape(text)}</td>"


def ratio_cell(ratio):
    colour = "" if ratio is None or 0.95 <= ratio <= 1.05 else "good" if ratio > 1 else "bad"
    return cell("" if ratio is None else format_ratio(ratio), colour)


def table(head, body):
    return (f'<div class="scroll"><table><thead>{head}</thead>'
            f'<tbody>{"".join(body)}</tbody></table></div>')


def head_row(names):
    return f'<tr>{"".join(f"<th>{html.escape(name)}</th>" for name in names)}</tr>'


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
    cards = "".join(f'<div class="fact"><b>{html.escape(figure)}</b>{html.escape(text)}</div>'
                    for figure, text in facts(document, problems, means))
    by_workload = collections.defaultdict(list)
    for problem in problems:
        by_workload[problem.workload].append(problem)
    memory = "".join(memory_table(*comparison) for comparison in memory_comparisons(problems))
    sections = "".join(workload_section(*item) for item in by_workload.items())
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Rowlane benchmark</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{CSS}</style></head>
<body>
<h1>Rowlane benchmark</h1><p class="soft">{html.escape(describe(document))}</p>
<div class="facts">{cards}</div>
<p>Every implementation was first checked against sums in double precision, then all were timed in
one interleaved run. <b>median</b>: of one call; <b>±</b>: half the distance from the 20th to the 80th
percentile; <b>GB/s</b>: bytes of rows read, rows written and indices over the median;
<b>speed-up</b>: nn.Embedding's median over this one; <b>error</b>: largest absolute error of the
output or the gradient. A scale below 1 means that rows and indices are that share of the published
workload's.</p>
<h2>Speed-up over nn.Embedding</h2>{summary_table(means)}
<div class="plot">{inline_svg(lambda: draw(problems))}</div>
{"<h2>Peak memory of a forward and backward pass, beside the table</h2>" + memory if memory else ""}
{sections}
</body></html>
"""
    path.write_text(page, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=pathlib.Path, help="the file of rowlane-bench --json")
    parser.add_argument("--png", type=pathlib.Path, help="default: beside the results")
    parser.add_argument("--html", type=pathlib.Path, help="default: beside the results")
    arguments = parser.parse_args()
    try:
        document, problems = read_results(arguments.results)
        png = arguments.png or arguments.results.with_suffix(".png")
        page = arguments.html or arguments.results.with_suffix(".html")
        write_png(png, document, problems)
        write_html(page, document, problems)
    except (BadResults, OSError) as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"report.py: {arguments.results} has a row without {error}.", file=sys.stderr)
        return 1
    print(f"Written to {png} and {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
