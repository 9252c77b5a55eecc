#!/usr/bin/env python3
"""Gets sentences of film reviews, rated by readers, out of the Python package that ships them.

Writes one file, and does nothing when it is there:
  snippets.csv  rating,text   10,605 sentences; rating is the mean of twenty readers, -4 to 4

The sentences are those of B. Pang and L. Lee's sentence polarity data set, the ratings those of
C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social
Media Text" (2014), who ask to be cited.
"""

import argparse
import io
import pathlib
import tarfile
import zipfile

from data_packages import (
    CACHE_DIR, Failure, check_facts, download, run_main, say, write_csv,
)

PACKAGE, VERSION = "vaderSentiment", "0.5"
ARCHIVE = "vaderSentiment-0.5.zip"
# An archive within the archive.
RESOURCES = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
MEMBER = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
HEADER = ("rating", "text")


def read_snippets(archive_path):
    """Returns (rating, text) of each sentence, in stored order."""
    try:
        with zipfile.ZipFile(archive_path) as archive:
            resources = archive.read(RESOURCES)
        with tarfile.open(fileobj=io.BytesIO(resources)) as archive:
            text = archive.extractfile(MEMBER).read().decode("utf-8")
    except (KeyError, tarfile.TarError, UnicodeDecodeError) as error:
        raise Failure(f"{archive_path} can't be read: {error}") from error
    lines = [line.split("\t") for line in text.split("\r\n") if line]
    if any(len(line) != 3 for line in lines):
        raise Failure(f"{MEMBER} should have three columns.")
    return [(float(rating), sentence) for _, rating, sentence in lines]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data-dir",
        type=pathlib.Path,
        default=CACHE_DIR / "film-reviews",
        metavar="DIR",
        help="where the file goes (default: .cache/rowlane/film-reviews in the repository)",
    )
    path = parser.parse_args().data_dir / "snippets.csv"
    if path.exists():
        say(f"{path} is there")
        return
    snippets = read_snippets(download(PACKAGE, VERSION, ARCHIVE, "2 MB"))
    check_facts((
        ("number of sentences", len(snippets), 10_605),
        ("number of sentences rated above 0", sum(r > 0 for r, _ in snippets), 5242),
        ("number of sentences rated below 0", sum(r < 0 for r, _ in snippets), 5326),
    ))
    write_csv(path, HEADER, snippets)
    say(f"wrote {path} ({len(snippets)} sentences)")


if __name__ == "__main__":
    run_main(main)
