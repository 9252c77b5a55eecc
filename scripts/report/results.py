"""What a benchmark program wrote, and its numbers for people."""

import json
import math


class BadResults(Exception):
    """The file isn't what a benchmark program writes; the text is a sentence."""


class Problem:
    """One workload, shape and law of indices: the base of what was measured or counted on it."""

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
        self.rows = {}  # (op, who) -> row


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


def describe(document):
    device = document["device"]
    threads = f", {document['threads']} threads" if device["kind"] == "cpu" else ""
    cuda = f" (CUDA {document['cuda']})" if document.get("cuda") else ""
    malloc = f" · malloc {document['malloc']}" if document.get("malloc") else ""
    return (f"{device['name']}{threads} · torch {document['torch']}{cuda}{malloc} · "
            f"commit {document['commit']} · {document['date']}")


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
