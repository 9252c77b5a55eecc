#!/usr/bin/env python3
"""Gets an English text of five million words and two tests of word vectors out of packages.

Writes three files, and does nothing when all are there:
  corpus.txt           the GNU Collaborative International Dictionary of English, an entry per line,
                       words of the letters a to z in lower case, one space between them
  wordsim353.tsv       353 pairs of words and how alike people find them, from 0 to 10
  questions-words.txt  19,544 analogies, "a is to b as c is to d", in 14 sections

The text is read from Debian's package dict-gcide, where it is installed or downloaded and unpacked;
the tests are members of gensim's wheel. The dictionary is under the GNU General Public License.
"""

import argparse
import gzip
import pathlib
import re
import shutil
import subprocess
import tempfile
import zipfile

from data_packages import CACHE_DIR, Failure, check_facts, download, run_main, say, write_text

TEXT_PACKAGE = "dict-gcide"
TEXT_MEMBER = pathlib.Path("usr/share/dictd/gcide.dict.dz")
FIRST_ENTRY = "0 \\0\\ adj."

TESTS_PACKAGE, TESTS_VERSION = "gensim", "4.4.0"
TESTS_WHEEL = "gensim-4.4.0-*.whl"
TESTS_MEMBER = "gensim/test/test_data/{}"
TEST_LINES = {"wordsim353.tsv": 355, "questions-words.txt": 19_558}

# Of Debian 12's version 0.48.5; others differ by some hundred entries.
NUM_WORDS, NUM_WORDS_BAND = 4_812_000, 100_000


def read_dictionary():
    """Returns the dictionary's text, from the installed package or else from a downloaded one."""
    installed = pathlib.Path("/") / TEXT_MEMBER
    if installed.exists():
        return gzip.decompress(installed.read_bytes()).decode("utf-8", errors="replace")
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Failure(f"{installed} is missing; it is in Debian's package {TEXT_PACKAGE}.")
    say(f"downloading {TEXT_PACKAGE} (15 MB)")
    with tempfile.TemporaryDirectory() as scratch:
        for command in (["apt-get", "download", "-qq", TEXT_PACKAGE], None):
            if command is None:
                (package,) = pathlib.Path(scratch).glob("*.deb")
                command = ["dpkg-deb", "-x", package.name, "."]
            result = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, check=False
            )
            if result.returncode != 0:
                reason = result.stderr.strip()
                raise Failure(f"{' '.join(command)} failed, is the package list fresh?\n{reason}")
        packed = (pathlib.Path(scratch) / TEXT_MEMBER).read_bytes()
    return gzip.decompress(packed).decode("utf-8", errors="replace")


def entries(text):
    """Yields the words of each entry; entries begin in the first column, their text is indented."""
    text = text[text.index(FIRST_ENTRY) :]
    # Where an entry comes from, and how it is pronounced, is no text.
    text = re.sub(r"\[[^\]\[]*(?:Webster|WordNet|PJC)[^\]\[]*\]", " ", text)
    text = re.sub(r"\\[^\\\n]*\\", " ", text)
    for entry in re.split(r"\n(?=\S)", text):
        words = re.findall("[a-z]+", entry.lower())
        if words:
            yield words


def read_tests(wheel):
    """Returns {name: text}."""
    tests = {}
    with zipfile.ZipFile(wheel) as archive:
        for name, num_lines in TEST_LINES.items():
            tests[name] = archive.read(TESTS_MEMBER.format(name)).decode("utf-8")
            check_facts(((f"number of lines of {name}", tests[name].count("\n"), num_lines),))
    return tests


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data-dir",
        type=pathlib.Path,
        default=CACHE_DIR / "dictionary",
        metavar="DIR",
        help="where the files go (default: .cache/rowlane/dictionary in the repository)",
    )
    data_dir = parser.parse_args().data_dir
    if all((data_dir / name).exists() for name in ("corpus.txt", *TEST_LINES)):
        say(f"{data_dir} is complete")
        return

    tests = read_tests(download(TESTS_PACKAGE, TESTS_VERSION, TESTS_WHEEL, "27 MB"))
    corpus = list(entries(read_dictionary()))
    num_words = sum(len(words) for words in corpus)
    if abs(num_words - NUM_WORDS) > NUM_WORDS_BAND:
        raise Failure(f"the dictionary has {num_words} words and should have about {NUM_WORDS}.")
    for name, text in tests.items():
        write_text(data_dir / name, text)
    write_text(data_dir / "corpus.txt", "".join(" ".join(words) + "\n" for words in corpus))
    say(f"wrote {data_dir / 'corpus.txt'} ({len(corpus)} entries, {num_words} words) and two tests")


if __name__ == "__main__":
    run_main(main)
