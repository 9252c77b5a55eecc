#!/usr/bin/env python3
"""Prints the ten slowest files to compile and the ten slowest tests, as tables of Markdown.

    slowest.py BUILD_DIR...    build trees in which `make test` has run

Times are seconds on the clock of the last run, so those of a build or a test that other work slowed
down, or that ccache sped up, say little.
"""

import argparse
import pathlib
import re

NUM_SHOWN = 10


def compile_times(build):
    """Seconds by output, each that of its last build."""
    times = {}
    for line in (build / ".ninja_log").read_text().splitlines()[1:]:
        begin, end, _, output, _ = line.split("\t")
        if output.endswith((".o", ".gch")):
            # tests/CMakeFiles/ops_test.dir/errors_test.cpp.o is tests/errors_test.cpp of ops_test
            name = re.sub(r"(.*?)CMakeFiles/([^/]+)\.dir/(.*)\.(o|gch)", r"\1\3 (\2)", output)
            times[name.replace("__/", "")] = (int(end) - int(begin)) / 1e3
    return times


def test_times(build):
    """Seconds by test, as CTest remembers them."""
    path = build / "Testing" / "Temporary" / "CTestCostData.txt"
    costs = path.read_text().split("---")[0] if path.exists() else ""
    return {name: float(seconds)
            for name, runs, seconds in (line.rsplit(" ", 2) for line in costs.splitlines())
            if int(runs) > 0}


def print_table(what, builds, times_of):
    rows = [(seconds, name, build.name) for build in builds
            for name, seconds in times_of(build).items()]
    print(f"| {what} | tree | seconds |\n|---|---|---|")
    for seconds, name, tree in sorted(rows, reverse=True)[:NUM_SHOWN]:
        print(f"| `{name}` | {tree} | {seconds:.0f} |")
    print(f"| all {len(rows)} | | {sum(row[0] for row in rows):.0f} |\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs="+", type=pathlib.Path, metavar="BUILD_DIR")
    builds = parser.parse_args().builds
    print_table("file", builds, compile_times)
    print_table("test", builds, test_times)


if __name__ == "__main__":
    main()
