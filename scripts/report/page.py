"""What the pages and plots of the reports share."""

import argparse
import html
import io
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from results import BadResults, format_ratio  # noqa: E402

# Text and lines of the page's plots have this colour until it is replaced by the page's own.
INK = "#010203"

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


def group_by_workload(problems):
    groups = {}
    for problem in problems:
        groups.setdefault(problem.workload, []).append(problem)
    return groups


# --- plots ------------------------------------------------------------------------------------


def soften(axes):
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)


def shade_workloads(axes, problems):
    """Every second workload of a plot with a line per problem from the top down has a band."""
    workload, is_shaded = None, False
    for y, problem in enumerate(problems):
        if problem.workload != workload:
            workload, is_shaded = problem.workload, not is_shaded
        if is_shaded:
            axes.axhspan(y - 0.5, y + 0.5, color="#808a96", alpha=0.10, linewidth=0)


def save_png(path, figure, title, fontsize=11):
    figure.suptitle(title, x=0.01, ha="left", fontsize=fontsize)
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


def write_page(path, heading, subtitle, facts, body, title=None, css=""):
    """A self-contained page: the headline figures, pairs (figure, sentence), and then `body`."""
    cards = "".join(f'<div class="fact"><b>{html.escape(figure)}</b>{html.escape(text)}</div>'
                    for figure, text in facts)
    path.write_text(f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title or heading}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{CSS}{css}</style></head>
<body>
<h1>{heading}</h1><p class="soft">{html.escape(subtitle)}</p>
<div class="facts">{cards}</div>
{body}
</body></html>
""", encoding="utf-8")


def run_report(description, program, read_results, write_png, write_html):
    """The program that makes a PNG and a page of the results of a benchmark `program`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("results", type=pathlib.Path, help=f"the file of {program} --json")
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
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"{parser.prog}: {arguments.results} has a row without {error}.", file=sys.stderr)
        return 1
    print(f"Written to {png} and {page}")
    return 0
