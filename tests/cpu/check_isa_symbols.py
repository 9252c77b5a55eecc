#!/usr/bin/env python3
"""Checks that no code for one instruction set can run in the place of another's.

The linker keeps one copy of an inline function, whichever it finds first: it could be the one for
AVX-512, on every machine. So each symbol that a file compiled for an instruction set shares with
other files must have the instruction set's namespace in its name. An optimiser may hide a fault by
inlining, so the files are looked at as they are built, and without optimisation.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

ISA = re.compile(r"-DROWLANE_ISA=(\w+)")


def shared_symbols(nm, objects):
    """The names that other files can see, mangled."""
    command = [nm, "--defined-only", "--extern-only", "--format=posix", *objects]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in output.splitlines() if len(line.split()) > 1}


def objects_of(entry, folder):
    """The object file as it is built, and one without optimisation, which is put into `folder`."""
    command = shlex.split(entry["command"])
    at = command.index("-o") + 1
    built = os.path.join(entry["directory"], command[at])
    command[at] = os.path.join(folder, command[at].replace("/", "_"))
    subprocess.run([*command, "-O0"], check=True, cwd=entry["directory"])
    return built, command[at]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile-commands", type=pathlib.Path, required=True)
    parser.add_argument("--nm", default="nm")
    args = parser.parse_args()
    entries = {}
    for entry in json.loads(args.compile_commands.read_text()):
        if isa := ISA.search(entry["command"]):
            entries.setdefault(isa[1], []).append(entry)
    if "baseline" not in entries:
        sys.exit(f"{args.compile_commands} has no file for an instruction set")
    bad = []
    for isa, of_isa in entries.items():
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
            pairs = pool.map(lambda entry: objects_of(entry, folder), of_isa)
            objects = [path for pair in pairs for path in pair]
            symbols = shared_symbols(args.nm, objects)
        # As a namespace is mangled: its length and its name.
        bad += [(isa, symbol) for symbol in sorted(symbols) if f"{len(isa)}{isa}" not in symbol]
        print(f"{isa}: {len(symbols)} shared symbols of {len(objects)} object files")
    for isa, symbol in bad:
        print(f"  {isa}: {symbol} is not in the instruction set's namespace")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
