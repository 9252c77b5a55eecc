#!/usr/bin/env python3
"""Tests and measures Rowlane on a GPU, and holds the measured times against the modelled ones.

  gpu_report.py check         fails with a sentence unless torch sees a GPU
  gpu_report.py run           tests, benchmark, traffic, page: one folder of results
  gpu_report.py page FOLDER   makes the page again from the bench.json and traffic.json of a folder
"""

import argparse
import datetime
import html
import pathlib
import re
import subprocess
import sys

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

import report
import traffic_report
from page import cell, head_row, inline_svg, save_png, soften, table, write_page
from results import (
    BadResults, format_bytes, format_ms, format_ratio, format_spread, geometric_mean, three_digits)

# What is compared: how the benchmark and the traffic name it, label, colour and marker.
PAIRS = {
    ("forward", ("rowlane", "auto"), "rowlane"): ("Rowlane forward", "#0a7d6c", "o"),
    ("backward_dense", ("rowlane", "sorted"), "sorted"): (
        "Rowlane backward, sorted", "#35b79a", "D"),
    ("backward_dense", ("rowlane", "atomic"), "atomic"): (
        "Rowlane backward, atomic", "#8cc63f", "P"),
    ("forward", report.BASELINE, "torch"): ("nn.Embedding forward", "#b0862c", "X"),
    ("backward_dense", report.BASELINE, "torch"): ("nn.Embedding backward", "#d9822b", "s"),
}

# The device models of rowlane-traffic, and the words in a GPU's name that mean each.
MODELS_BY_NAME = [
    ("h100", ("H100", "H200", "H800", "H20", "GH200")),
    ("a100", ("A100", "A800", "A30")),
    ("b200", ("B100", "B200", "B300", "GB200", "GB300")),
    ("l4", ("L4", "L40", "L40S")),
]
MODELS_BY_CAPABILITY = [(100, "b200"), (90, "h100"), (86, "l4"), (0, "a100")]


class NoGpu(Exception):
    """There is nothing to measure on; the text is a sentence."""


# --- the device -------------------------------------------------------------------------------


def find_gpu():
    """Name and compute capability (90 for 9.0) of the GPU that torch uses."""
    try:
        import torch
    except ImportError as error:
        raise NoGpu(f"torch can't be imported ({error}); run 'make setup' first.") from error
    if not torch.cuda.is_available():
        build = "is built without CUDA" if torch.version.cuda is None else "sees no GPU"
        raise NoGpu(f"torch {torch.__version__} {build} on this machine, and this report is about "
                    "times on a GPU; 'make traffic' needs none.")
    major, minor = torch.cuda.get_device_capability(0)
    return torch.cuda.get_device_name(0), 10 * major + minor


def nearest_model(name, capability):
    """The device model for a GPU, and whether it is of this very GPU."""
    words = re.split(r"[^A-Z0-9]+", name.upper())
    for model, names in MODELS_BY_NAME:
        if any(word in names for word in words):
            return model, model.upper() in words
    return next(model for least, model in MODELS_BY_CAPABILITY if capability >= least), False


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


# --- running ----------------------------------------------------------------------------------


def run_logged(command, log):
    """Runs a command, shows its output and keeps it in `log`. Returns the exit status."""
    print(f"gpu-report: {' '.join(map(str, command))}", file=sys.stderr, flush=True)
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace")
        for line in process.stdout:
            file.write(line)
            sys.stdout.write(line)
            sys.stdout.flush()
        return process.wait()


def run(arguments):
    name, capability = find_gpu()
    model, _ = nearest_model(name, capability)
    date = datetime.date.today().isoformat()
    folder = arguments.results / f"gpu-report-{slug(name)}-{date}"
    folder.mkdir(parents=True, exist_ok=True)
    programs = arguments.build / "bin"
    are_tests_good = run_logged(
        ["ctest", "--test-dir", arguments.build, "--output-on-failure", "--no-tests=error"],
        folder / "tests.log") == 0
    for program, options in (("rowlane-bench", ["--device", "cuda"]),
                             ("rowlane-traffic", ["--device", model])):
        kind = program.removeprefix("rowlane-")
        status = run_logged(
            [programs / program, "--workload", arguments.workloads, *options,
             "--json", folder / f"{kind}.json"], folder / f"{kind}.txt")
        if status != 0:
            raise BadResults(f"{program} failed with status {status}; see {folder / kind}.txt")
    make_pages(folder)
    if not are_tests_good:
        print(f"gpu-report: tests failed; see {folder / 'tests.log'}", file=sys.stderr)
    return 0 if are_tests_good else 1


# --- comparing --------------------------------------------------------------------------------


class Comparison:
    """One measured row and the counted or derived row that stands for the same work."""

    def __init__(self, pair, problem, measured, modelled):
        self.pair = pair
        self.problem = problem
        self.measured_us = 1e3 * measured["median_ms"]
        self.modelled_us = modelled["modelled_us"]
        self.dram_bytes = traffic_report.dram_bytes(modelled)
        self.spread = format_spread(measured)
        self.bound_by = modelled["slowest"]

    @property
    def ratio(self):
        return self.measured_us / self.modelled_us

    @property
    def gb_per_s(self):
        return self.dram_bytes / (1e3 * self.measured_us)


def size_of(key):
    """What must be the same for times to be comparable: everything but the name of the scale."""
    return key[:1] + key[2:]


def compare(measured_problems, modelled_problems):
    """Returns the comparisons, and the measured problems whose size was not counted."""
    modelled = {size_of(problem.key): problem for problem in modelled_problems}
    comparisons, unmatched = [], []
    for problem in measured_problems:
        other = modelled.get(size_of(problem.key))
        if other is None:
            unmatched.append(problem)
            continue
        for pair in PAIRS:
            op, implementation, who = pair
            row, counted = problem.rows.get((op, implementation)), other.rows.get((op, who))
            if row and counted:
                comparisons.append(Comparison(pair, problem, row, counted))
    return comparisons, unmatched


def ratios_of(comparisons, pair):
    return [comparison.ratio for comparison in comparisons if comparison.pair == pair]


# --- the page ---------------------------------------------------------------------------------


def draw(comparisons):
    figure, axes = plt.subplots(figsize=(9, 7.5), layout="constrained")
    times = [time for c in comparisons for time in (c.measured_us, c.modelled_us)]
    ends = [min(times) / 1.5, max(times) * 1.5]
    axes.fill_between(ends, [0.5 * end for end in ends], [2 * end for end in ends],
                      color="#808a96", alpha=0.12, linewidth=0, label="within a factor of 2")
    axes.plot(ends, ends, color="#808a96", linewidth=1.5)
    for pair, (label, colour, marker) in PAIRS.items():
        points = [(c.modelled_us, c.measured_us) for c in comparisons if c.pair == pair]
        if points:
            axes.scatter(*zip(*points), color=colour, marker=marker, label=label, s=34, zorder=3)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*ends)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda us, _: format_ms(us / 1e3)))
        axis.set_minor_formatter(FuncFormatter(lambda us, _: ""))
    axes.set_xlabel("modelled")
    axes.set_ylabel("measured, median")
    axes.grid(alpha=0.25)
    soften(axes)
    axes.legend(frameon=False)
    return figure


def describe(measured, modelled):
    return (f"{measured['device']['name']} · CUDA {measured.get('cuda')} · torch "
            f"{measured['torch']} · commit {measured['commit']} · {measured['date']} · "
            f"modelled as {traffic_report.device_name(modelled)}")


def test_summary(log):
    """The last lines that ctest prints, as a sentence; None without a log."""
    if not log.exists():
        return None
    found = re.findall(r"\d+% tests passed, (\d+) tests failed out of (\d+)",
                       log.read_text(encoding="utf-8", errors="replace"))
    if not found:
        return "The tests did not finish"
    failed, count = found[-1]
    return f"All {count} tests passed" if failed == "0" else f"{failed} of {count} tests failed"


def summary_table(comparisons):
    body = []
    for pair, (label, _, _) in PAIRS.items():
        ratios = ratios_of(comparisons, pair)
        if ratios:
            texts = [label, format_ratio(geometric_mean(ratios)), format_ratio(min(ratios)),
                     format_ratio(max(ratios)), str(len(ratios))]
            body.append(f"<tr>{''.join(map(cell, texts))}</tr>")
    return table(head_row(["measured over modelled", "geometric mean", "least", "most",
                           "problems"]), body)


def comparison_rows(comparisons):
    problem = None
    for comparison in comparisons:
        if comparison.problem is not problem:
            problem = comparison.problem
            title = html.escape(f"{problem.workload}: {problem.title}")
            yield f'<tr class="problem"><td colspan="8">{title}</td></tr>'
        kind = ' class="baseline"' if comparison.pair[1] == report.BASELINE else ""
        texts = [PAIRS[comparison.pair][0], format_ms(comparison.measured_us / 1e3),
                 comparison.spread, format_ms(comparison.modelled_us / 1e3),
                 format_ratio(comparison.ratio), format_bytes(comparison.dram_bytes),
                 three_digits(comparison.gb_per_s), comparison.bound_by]
        yield f"<tr{kind}>{''.join(map(cell, texts))}</tr>"


def facts(comparisons, measured_problems, tests):
    """The headline figures: (figure, sentence)."""
    if tests:
        yield ("good" if tests.startswith("All") else "bad", tests + " on this machine")
    for (op, who), (mean, worst, count) in report.geometric_means(measured_problems).items():
        if who == ("rowlane", "auto"):
            yield (format_ratio(mean), f"measured speed of Rowlane's {report.OPS[op]} over "
                   f"nn.Embedding's, geometric mean of {count} problems; the worst is "
                   f"{format_ratio(worst)}")
    for pair, (label, _, _) in PAIRS.items():
        ratios = ratios_of(comparisons, pair)
        if ratios and pair[1] != report.BASELINE:
            yield (format_ratio(geometric_mean(ratios)),
                   f"{label}: measured time over modelled, geometric mean")


def write_index(path, documents, problems, comparisons, unmatched):
    folder = path.parent
    tests = test_summary(folder / "tests.log")
    files = [("bench.html", "all measurements"), ("traffic.html", "all counts"),
             ("comparison.png", "the plot"), ("bench.json", "measurements as JSON"),
             ("traffic.json", "counts as JSON"), ("tests.log", "log of the tests"),
             ("bench.txt", "table of the measurements"), ("traffic.txt", "table of the counts")]
    links = " · ".join(f'<a href="{name}">{text}</a>' for name, text in files
                       if (folder / name).exists())
    left_out = ""
    if unmatched:
        names = ", ".join(sorted({problem.workload for problem in unmatched}))
        left_out = ("<p>Not compared, because the emulated device is too slow to count them at "
                    f"the size that was measured: {len(unmatched)} of {len(problems)} problems, "
                    f"from {html.escape(names)}.</p>")
    gpu = html.escape(documents[0]["device"]["name"])
    head = head_row(["", "measured", "±", "modelled", "ratio", "DRAM bytes", "GB/s", "bound by"])
    body = f"""<p>{links}</p>
<p><b>measured</b>: median of one call on the GPU, timed by rowlane-bench; <b>modelled</b>: the
roofline of the emulated device over counted traffic, and for nn.Embedding over formulas of what
torch's algorithm moves; <b>DRAM bytes</b>: counted, or by those formulas; <b>GB/s</b>: these bytes
over the measured time; <b>bound by</b>: the slowest launch and what limits it, in the model.</p>
{left_out}
<h2>How good the model is</h2>{summary_table(comparisons)}
<div class="plot">{inline_svg(lambda: draw(comparisons))}</div>
<h2>Row by row</h2>{table(head, comparison_rows(comparisons))}"""
    write_page(path, "Rowlane: measured and modelled", describe(*documents),
               facts(comparisons, problems, tests), body, title=f"Rowlane on {gpu}",
               css="\na { color: inherit; }")


def make_pages(folder):
    """Everything that follows from bench.json and traffic.json."""
    measured, measured_problems = report.read_results(folder / "bench.json")
    modelled, modelled_problems = traffic_report.read_results(folder / "traffic.json")
    comparisons, unmatched = compare(measured_problems, modelled_problems)
    if not comparisons:
        raise BadResults(f"{folder} has no problem that was both measured and counted.")
    report.write_png(folder / "bench.png", measured, measured_problems)
    report.write_html(folder / "bench.html", measured, measured_problems)
    traffic_report.write_png(folder / "traffic.png", modelled, modelled_problems)
    traffic_report.write_html(folder / "traffic.html", modelled, modelled_problems)
    save_png(folder / "comparison.png", draw(comparisons),
             f"Rowlane: measured and modelled\n{describe(measured, modelled)}", fontsize=9)
    write_index(folder / "index.html", (measured, modelled), measured_problems, comparisons,
                unmatched)
    print(f"Written to {folder / 'index.html'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check")
    runner = commands.add_parser("run")
    runner.add_argument("--build", type=pathlib.Path, required=True, help="the build tree")
    runner.add_argument("--results", type=pathlib.Path, required=True,
                        help="the folder that the report's folder is made in")
    runner.add_argument("--workloads", default="default")
    commands.add_parser("page").add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    try:
        if arguments.command == "check":
            name, capability = find_gpu()
            model, is_same = nearest_model(name, capability)
            nearest = "" if is_same else ", the nearest that there is a model of"
            print(f"gpu-report: {name}, compared with the model of {model}{nearest}")
        elif arguments.command == "run":
            return run(arguments)
        else:
            make_pages(arguments.folder)
    except (NoGpu, BadResults, OSError) as error:
        print(f"gpu-report: {error}", file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"gpu-report: the results have a row without {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
