#!/usr/bin/env python3
"""Trains word2vec with gensim and with examples/word2vec, in turns, and compares words/s and vectors.

Both read the same text (scripts/data/dictionary.py gets it), have the same settings and as many
threads. gensim is timed both ways that it reads a text: a file that its threads read themselves,
and lines that Python hands to them. Our vectors are read by gensim in word2vec's binary format, and gensim
scores all vectors, with its own code. Appends to a JSON file.

gensim has to be installed: scripts/requirements-gensim.txt.
"""

import argparse
import csv
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import gensim
from gensim.models import KeyedVectors, Word2Vec
from gensim.models.word2vec import LineSentence

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA_DIR = ROOT / ".cache" / "rowlane" / "dictionary"
ASKED = ("horse", "king", "red")


def train_gensim(options, reads_file):
    """Returns (words per second, vectors); building the vocabulary isn't timed."""
    corpus = str(DATA_DIR / "corpus.txt")
    is_skip_gram = options.model == "skip-gram"
    model = Word2Vec(
        vector_size=100, window=5, min_count=5, negative=5, sample=1e-3, sg=int(is_skip_gram),
        alpha=0.025 if is_skip_gram else 0.05, workers=options.threads, epochs=options.epochs, seed=1,
    )
    text = {"corpus_file": corpus} if reads_file else {"corpus_iterable": LineSentence(corpus)}
    model.build_vocab(**text)
    begin = time.perf_counter()
    model.train(
        **text, total_examples=model.corpus_count, total_words=model.corpus_total_words,
        epochs=options.epochs,
    )
    seconds = time.perf_counter() - begin
    return model.corpus_total_words * options.epochs / seconds, model.wv


def train_rowlane(options, scratch):
    vectors, figures = scratch / "vectors", scratch / "figures.csv"
    command = [
        options.program, "--model", options.model, "--epochs", str(options.epochs),
        "--threads", str(options.threads), "--vectors", str(vectors), "--csv", str(figures),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with open(figures, newline="", encoding="utf-8") as file:
        rates = [float(row["words_per_second"]) for row in csv.DictReader(file)]
    # The epochs have as many words each.
    return statistics.harmonic_mean(rates), KeyedVectors.load_word2vec_format(
        str(vectors) + ".bin", binary=True
    )


def scores(vectors):
    _, spearman, _ = vectors.evaluate_word_pairs(str(DATA_DIR / "wordsim353.tsv"))
    analogies, _ = vectors.evaluate_word_analogies(str(DATA_DIR / "questions-words.txt"))
    return {
        "wordsim353_spearman": round(float(spearman.statistic), 4),
        "analogies": round(float(analogies), 4),
        "neighbours": {word: [w for w, _ in vectors.most_similar(word, topn=5)] for word in ASKED},
    }


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/word2vec"))
    parser.add_argument("--model", choices=("skip-gram", "cbow"), default="skip-gram")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="trainings of each, in turns")
    parser.add_argument(
        "--readers", default="file,lines", help="how gensim reads: file, lines, or both by a comma"
    )
    parser.add_argument("--json", type=pathlib.Path, help="append the result to this file")
    options = parser.parse_args()

    ways = {"rowlane": None, "gensim, file": True, "gensim, lines": False}
    ways = {w: r for w, r in ways.items() if w == "rowlane" or w.split()[-1] in options.readers}
    rates, vectors = {way: [] for way in ways}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.rounds):
            for way, reads_file in ways.items():
                if way == "rowlane":
                    rate, vectors[way] = train_rowlane(options, pathlib.Path(scratch))
                else:
                    rate, vectors[way] = train_gensim(options, reads_file)
                rates[way].append(round(rate))

    ours = statistics.median(rates["rowlane"])
    rows = {}
    for way in ways:
        median = statistics.median(rates[way])
        rows[way] = {"words_per_second": rates[way], "median": median, **scores(vectors[way])}
        print(
            f"{way:<14} {median:>10,.0f} words/s  rowlane is {ours / median:5.2f} x as fast"
            f"  WordSim353 {rows[way]['wordsim353_spearman']:.3f}"
            f"  analogies {100 * rows[way]['analogies']:.1f} %"
        )
        for word, near in rows[way]["neighbours"].items():
            print(f"    {word}: {', '.join(near)}")
    if options.json:
        runs = json.loads(options.json.read_text()) if options.json.exists() else []
        runs.append(
            {
                "date": datetime.date.today().isoformat(),
                "commit": os.environ.get("ROWLANE_COMMIT", ""),
                "processor": processor(),
                "gensim": gensim.__version__,
                "model": options.model,
                "epochs": options.epochs,
                "threads": options.threads,
                "rows": rows,
            }
        )
        options.json.write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"compare_gensim: {error}")
