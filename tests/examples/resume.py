#!/usr/bin/env python3
"""Interrupts a program after its first epoch, and checks that it goes on as if nothing had happened.

The program runs three times: as a whole; killed as soon as it has written a checkpoint; and from
that checkpoint with --resume, after which the figures of its CSV have to be those of the whole run,
to the last digit. A fourth run, from the checkpoint of the last epoch, has to give the last figures
without any training.
"""

import argparse
import csv
import pathlib
import subprocess
import sys
import tempfile
import time


class Failure(Exception):
    """What the program did wrong; its text is a sentence."""


def run(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr)
    if result.returncode != 0:
        raise Failure(f"exit status {result.returncode} of {' '.join(command)}")


def kill_after_first_epoch(command, checkpoint):
    """Returns whether it was killed before it came to its end."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not checkpoint.exists():
            time.sleep(0.005)
        process.kill()
    if not checkpoint.exists():
        raise Failure(f"no checkpoint from {' '.join(command)}")
    return process.returncode < 0


def figures(path):
    """Returns the rows of a CSV, {name: text}, without times."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    times = {"seconds", "second", "ms"}
    return [{k: v for k, v in row.items() if not times & set(k.split("_"))} for row in rows]


def check(whole, resumed, again):
    """Compares rows; those of `again` lack what only training knows."""
    if not 0 < len(resumed) < len(whole):
        raise Failure(f"{len(resumed)} rows after the interruption, {len(whole)} of the whole run.")
    if resumed != whole[-len(resumed):]:
        raise Failure(f"After the interruption {resumed}, of the whole run {whole}.")
    if not 0 < len(again) <= len(resumed):
        raise Failure(f"{len(again)} rows of a training that was complete.")
    for row, expected in zip(again, whole[-len(again):]):
        known = {name: text for name, text in row.items() if text}
        if len(known) < 3 or known != {name: expected[name] for name in known}:
            raise Failure(f"From the last checkpoint {known}, of the whole run {expected}.")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="PROGRAM ARGUMENTS...")
    command = parser.parse_args().command
    try:
        with tempfile.TemporaryDirectory(prefix="rowlane-") as name:
            directory = pathlib.Path(name)

            def call(csv_name, checkpoint, *flags):
                csv_path = directory / csv_name
                run([*command, "--checkpoint", str(checkpoint), "--csv", str(csv_path), *flags])
                return figures(csv_path)

            whole = call("whole.csv", directory / "whole.pt")
            cut = directory / "cut.pt"
            for _ in range(10):
                if kill_after_first_epoch([*command, "--checkpoint", str(cut)], cut):
                    break
                cut.unlink()  # it was faster than this script
            else:
                raise Failure("It comes to its end before it can be interrupted.")
            resumed = call("resumed.csv", cut, "--resume")
            time_written = cut.stat().st_mtime_ns
            check(whole, resumed, call("again.csv", cut, "--resume"))
            if cut.stat().st_mtime_ns != time_written:
                raise Failure("A training that was complete went on.")
    except Failure as failure:
        sys.exit(f"resume.py: {failure}")
    print(f"resume.py: {command[0]} goes on after an interruption to the same figures")


if __name__ == "__main__":
    main()
