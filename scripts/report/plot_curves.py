#!/usr/bin/env python3
"""Draws the columns of a CSV file with a header into a PNG.

The first column is x, every other column of numbers a line; options choose others. Empty fields are
gaps. With --by a line is drawn for each value of a column. Where a line would have several y for
one x, for instance those of several seeds, it is their mean, on a band from the least to the most.
"""

import argparse
import csv
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

COLOURS = ("#0a7d6c", "#d9822b", "#8250c4", "#3b6fb6", "#a33b3b", "#8cc63f", "#808a96", "#c2569b")


class BadInput(Exception):
    """Something the user has to know; its text is a sentence."""


def read_columns(path):
    """Returns {name: texts} in the order of the header."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if len(rows) < 2:
        raise BadInput(f"{path} has no rows.")
    header, body = rows[0], rows[1:]
    for number, row in enumerate(body, 1):
        if len(row) != len(header):
            raise BadInput(f"Row {number} of {path} has {len(row)} fields, not {len(header)}.")
    return {name: [row[i] for row in body] for i, name in enumerate(header)}


def numbers(texts):
    """Returns floats, an empty text as not-a-number, or None when one is no number."""
    try:
        return [float(text) if text else float("nan") for text in texts]
    except ValueError:
        return None


def column(columns, name):
    if name not in columns:
        raise BadInput(f"There is no column {name!r} among {', '.join(columns)}.")
    return columns[name]


def groups(columns, names):
    """Returns {label: positions of the rows}, in the order of their first rows."""
    if not names:
        return {"": list(range(len(next(iter(columns.values())))))}
    found = {}
    for position, key in enumerate(zip(*(column(columns, name) for name in names))):
        label = ", ".join(f"{n} {k}" if numbers([k]) else k for n, k in zip(names, key))
        found.setdefault(label, []).append(position)
    return found


def by_x(xs, ys):
    """Returns the distinct xs in order, and for each its least, mean and most y."""
    found = {}
    for x, y in zip(xs, ys):
        found.setdefault(x, []).append(y)
    kept = sorted(found)
    least, most = ([pick(found[x]) for x in kept] for pick in (min, max))
    return kept, least, [sum(found[x]) / len(found[x]) for x in kept], most


def draw(columns, options):
    x_name = options.x or next(iter(columns))
    y_names = options.y or [
        name
        for name, texts in columns.items()
        if name not in (x_name, options.labels, *options.by) and numbers(texts) is not None
    ]
    if not y_names:
        raise BadInput("No column of numbers is left to draw.")
    values = {}
    for name in (x_name, *y_names):
        values[name] = numbers(column(columns, name))
        if values[name] is None:
            raise BadInput(f"Column {name!r} isn't all numbers.")

    figure, axes = plt.subplots(figsize=(9, 6) if options.points else (8, 5), layout="constrained")
    labels = column(columns, options.labels) if options.labels else None
    lines = [(label, rows, y) for label, rows in groups(columns, options.by).items() for y in y_names]
    for number, (label, rows, y) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        name = " · ".join(text for text in (label, y if len(y_names) > 1 else "") if text)
        xs, ys = ([values[axis][row] for row in rows] for axis in (x_name, y))
        if options.points:
            axes.plot(xs, ys, "o", markersize=3, color=colour, label=name or None)
        elif len(set(xs)) == len(xs):
            axes.plot(xs, ys, "o-", markersize=4, color=colour, label=name or None)
        else:
            xs, least, mean, most = by_x(xs, ys)
            axes.plot(xs, mean, "o-", markersize=4, color=colour, label=name or None)
            axes.fill_between(xs, least, most, color=colour, alpha=0.15, linewidth=0)
        for row in rows if labels else ():
            axes.annotate(labels[row], (values[x_name][row], values[y][row]), fontsize=7,
                          xytext=(3, 2), textcoords="offset points", annotation_clip=True)
    axes.set_xlabel(x_name.replace("_", " "))
    axes.set_ylabel(options.y_label or (y_names[0].replace("_", " ") if len(y_names) == 1 else ""))
    if labels:
        axes.margins(x=0.12)  # the texts go to the right
    axes.set_title(options.title or "", loc="left", fontsize=11)
    if options.log_x:
        axes.set_xscale("log")
    if options.log_y:
        axes.set_yscale("log")
    axes.grid(color="#dde2e8", linewidth=0.6)
    axes.set_axisbelow(True)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8)
    return figure


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("csv", type=pathlib.Path)
    parser.add_argument("png", type=pathlib.Path)
    parser.add_argument("--title")
    parser.add_argument("--x", help="the column of x")
    parser.add_argument("--y", action="append", help="a column to draw; may be repeated")
    parser.add_argument("--by", action="append", default=[], help="a line for each of its values")
    parser.add_argument("--y-label")
    parser.add_argument("--log-x", action="store_true")
    parser.add_argument("--log-y", action="store_true")
    parser.add_argument("--points", action="store_true", help="dots in place of lines")
    parser.add_argument("--labels", help="the column of the texts beside the dots")
    options = parser.parse_args()
    try:
        figure = draw(read_columns(options.csv), options)
        options.png.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(options.png, dpi=130)
    except (BadInput, OSError) as error:
        print(f"plot_curves.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
