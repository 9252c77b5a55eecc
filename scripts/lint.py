#!/usr/bin/env python3
"""Checks the sources: formatting, the rules of the layers, headers that compile alone, the CPU's
loops with a compiler for Arm, clang-tidy.

    lint.py BUILD_DIR    all checks; BUILD_DIR is a configured build tree, with compile_commands.json
    lint.py --fix        formats the sources in place

What was found clean isn't looked at again until it, a header of ours that it includes, its compiler
flags or the settings change.
"""

import argparse
import concurrent.futures
import functools
import hashlib
import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE_DIRS = ("include", "csrc", "cuda", "benchmarks", "examples", "tests")
HEADER_SUFFIXES = (".h", ".cuh")
SUFFIXES = (".cpp", ".cu", *HEADER_SUFFIXES)
# Halves of an interface in cuda/simt/*.cuh, which includes them; the first need nvcc as well.
HALVES = ("cuda/simt/cuda/", "cuda/simt/emulated/runtime.h", "cuda/simt/emulated/sort.h")
# A source that includes all of torch takes clang-tidy half a minute, so these aren't read by it.
SLOW_INCLUDE = re.compile(r'#\s*include\s*[<"]torch/torch\.h')

# What a file of each folder may include beside what lies in the folder itself: the longest folder
# that holds the file counts. A name that ends in a slash means all below it, any other a folder
# without those below it, or a file. What isn't in the table, such as a test, includes what it likes.
PLAIN_KERNEL_HEADERS = ("cuda/rounding.h", "cuda/step_rule.h", "cuda/types.h")
ALLOWED_INCLUDES = {
    "include": ("include/",),
    "csrc": ("include/",),
    "csrc/aten": ("csrc/ops", "include/"),
    "csrc/autograd": ("csrc/ops", "include/"),
    "csrc/cpu": ("csrc/cpu/loops", "csrc/ops", "include/", *PLAIN_KERNEL_HEADERS),
    "csrc/cpu/loops": PLAIN_KERNEL_HEADERS,
    "csrc/device": ("csrc/ops", "cuda/", "include/"),
    "csrc/meta": ("csrc/ops", "include/"),
    "csrc/nn": ("csrc/autograd", "csrc/ops", "csrc/optim", "include/"),
    "csrc/ops": ("include/", *PLAIN_KERNEL_HEADERS),
    "csrc/optim": ("csrc/autograd", "csrc/ops", "include/"),
    "csrc/vmap": ("csrc/ops", "include/"),
    "cuda": ("cuda/simt",),
    # The headers of the seam choose an implementation; an implementation knows the seam alone.
    "cuda/simt": ("cuda/simt/",),
    "cuda/simt/cuda": ("cuda/simt",),
    "cuda/simt/emulated": ("cuda/simt",),
    "benchmarks": ("benchmarks/harness", "benchmarks/workloads", "cuda/", "include/"),
    "benchmarks/harness": ("benchmarks/workloads", "include/"),
    "benchmarks/tune": ("benchmarks/traffic", "benchmarks/workloads", "cuda/"),
    "benchmarks/workloads": (),
    "examples": ("benchmarks/harness", "benchmarks/workloads", "examples/", "include/"),
}

CODE_RULES = (
    # (what no code outside of `exempt` may contain, why, exempt)
    (
        r"\b(threadIdx|blockIdx|blockDim|gridDim|warpSize)\b|\b__(sync|shfl|ballot|any_sync|all_sync|"
        r"match|ldg|stcs|threadfence|popc|ffs|clz|float2half|half2float|nv_)\w*|"
        r"\batomic(Add|Sub|Min|Max|And|Or|Xor|Exch|CAS)\b|\bcuda[A-Z]\w*|\bcu[A-Z]\w*\(|<<<|"
        r"\b(cub|thrust)::|#\s*include\s*<(cuda|cub|thrust|mma)|\basm\b",
        "CUDA's intrinsics, launches and runtime belong to cuda/simt",
        # The benchmarks ask for the GPU's name, and one times kernels without torch.
        ("cuda/simt/", "benchmarks/harness/machine.cpp", "benchmarks/tune/cuda_device.cpp"),
    ),
    (
        r"#\s*include\s*[<\"](torch|ATen|c10|caffe2)/",
        "device code knows nothing of torch",
        ("include/", "csrc/", "benchmarks/", "examples/", "tests/"),
    ),
    (r"#\s*include\s*[<\"]torch/torch\.h", "include torch narrowly", "tests/"),
)
# What no kernel may contain.
KERNEL_RULES = (
    (
        r"\bargs\s*\.\s*\w+\s*\[|"  # args.p[i]
        r"(?:[=(,!~?;{+-]|\breturn|\n)\s*\*\s*[A-Za-z_(](?!\s*[>*])|"  # = *p, { *p
        r"\bargs\s*\.\s*\w+\s*->",
        "device memory is reached by simt::load, simt::store and their like",
    ),
)
TEXT_RULES = (
    (r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", "finish it, or open an issue"),
    (r"(?<![\w.$}/-])/(home|root|work|Users|mnt)/", "a path of one machine"),
)
TEXT_DIRS = (*SOURCE_DIRS, "cmake", "docs", "scripts", ".ci")
TEXT_SUFFIXES = (*SUFFIXES, ".cmake", ".in", ".json", ".md", ".py", ".sh", ".txt")


def relative(path):
    return path.relative_to(ROOT).as_posix()


@functools.cache
def sources():
    """Every C++ and CUDA file of the project, in order."""
    files = itertools.chain.from_iterable((ROOT / d).rglob("*") for d in SOURCE_DIRS)
    return dict.fromkeys(sorted(f for f in files if f.suffix in SUFFIXES and f.is_file()))


def texts():
    files = itertools.chain.from_iterable((ROOT / d).rglob("*") for d in TEXT_DIRS)
    files = itertools.chain(files, ROOT.glob("*"), ROOT.glob(".ci/*"))
    for file in files:
        named = file.suffix in TEXT_SUFFIXES or file.name in ("Makefile", "run")
        if named and file.is_file():
            yield file


def tool(name):
    path = shutil.which(name, path=f"{ROOT / '.venv' / 'bin'}:{os.environ.get('PATH', '')}")
    if path is None:
        sys.exit(f"lint: {name} is missing; `make lint` gets it.")
    return path


def run(command, stdin=None):
    """Returns what the command printed, or an empty string when it succeeded."""
    result = subprocess.run(
        command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False
    )
    if result.returncode == 0:
        return ""
    return (result.stdout + result.stderr).strip() or f"{command[0]}: failed"


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(function, items)


# ---------------------------------------------------------------------------------------------
# Formatting


def clang_format(*flags):
    files = [relative(f) for f in sources()]
    chunks = [files[i :: os.cpu_count()] for i in range(os.cpu_count())]
    outputs = in_parallel(lambda c: run([tool("clang-format"), *flags, *c]) if c else "", chunks)
    return [o for o in outputs if o]


def check_format(_):
    findings = clang_format("--dry-run", "-Werror")
    print(*findings, sep="\n", end="\n" * bool(findings))
    return len(findings), f"{len(sources())} files; `make format` formats them"


# ---------------------------------------------------------------------------------------------
# Rules that a regular expression can check

COMMENT_OR_STRING = re.compile(
    r"//[^\n]*|/\*.*?\*/|(?<![\w'])'(?:\\.|[^'\\\n])*'|(?P<text>\"(?:\\.|[^\"\\\n])*\")", re.DOTALL
)


def without_comments(text):
    """Line numbers stay; the text of #include directives, too."""

    def blank(match):
        line_begin = text.rfind("\n", 0, match.start()) + 1
        if match["text"] and text[line_begin : match.start()].lstrip().startswith("#"):
            return match[0]
        return "\n" * match[0].count("\n")

    return COMMENT_OR_STRING.sub(blank, text)


def is_within(name, entry):
    """Whether an entry of the table of includes covers the file of that name."""
    if entry.endswith("/"):
        return name.startswith(entry)
    return entry in (name, os.path.dirname(name))


def forbidden_includes(file):
    name = relative(file)
    holders = [d for d in ALLOWED_INCLUDES if name.startswith(d + "/")]
    if not holders:
        return
    folder = max(holders, key=len)
    for header in direct_includes(file):
        header_name = relative(header)
        is_own = os.path.dirname(header_name) == os.path.dirname(name)
        if not is_own and not any(is_within(header_name, e) for e in ALLOWED_INCLUDES[folder]):
            yield f"{name}: includes {header_name}, which {folder} may not"


def matches(pattern, text, file, why):
    for match in re.finditer(pattern, text):
        line = text.count("\n", 0, match.start()) + 1
        yield f"{relative(file)}:{line}: {match[0].strip()}: {why}"


def check_rules(_):
    findings = []
    for file in sources():
        code = without_comments(file.read_text(encoding="utf-8"))
        for pattern, why, exempt in CODE_RULES:
            if not relative(file).startswith(exempt):
                findings += matches(pattern, code, file, why)
        findings += forbidden_includes(file)
        if file.name.endswith("_kernel.cuh"):
            for pattern, why in KERNEL_RULES:
                findings += matches(pattern, code, file, why)
        if file.suffix in HEADER_SUFFIXES and "#pragma once" not in code:
            findings.append(f"{relative(file)}: has no `#pragma once`")
    for file in texts():
        text = file.read_text(encoding="utf-8")
        for pattern, why in TEXT_RULES:
            findings += matches(pattern, text, file, why)
    print(*findings, sep="\n", end="\n" * bool(findings))
    return len(findings), f"{len(CODE_RULES) + len(KERNEL_RULES) + len(TEXT_RULES) + 2} rules"


# ---------------------------------------------------------------------------------------------
# What needs a compiler


def portable_arguments(command):
    """The arguments that matter to another compiler, without output and precompiled headers.

    Sources have to include what they use, so they compile without the precompiled header, too.
    """
    arguments = iter(shlex.split(command)[1:])
    kept = []
    for argument in arguments:
        if argument in ("-o", "-c", "-include"):
            next(arguments)
        elif argument not in ("-Winvalid-pch", "-fpch-preprocess", "-fopenmp"):
            kept.append(argument)
    return kept


class BuildTree:
    """A configured build tree and what is remembered in it."""

    def __init__(self, directory):
        self.directory = directory / "lint"
        self.cache = self.directory / "clean"
        self.cache.mkdir(parents=True, exist_ok=True)
        try:
            database = json.loads((directory / "compile_commands.json").read_text())
            settings = (directory / "CMakeCache.txt").read_text()
        except OSError as error:
            sys.exit(f"lint: {error}; is {directory} a configured build tree?")
        self.torch = re.search(r"^ROWLANE_TORCH_VERSION:.*", settings, re.MULTILINE)[0]
        self.compiler = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)", settings, re.MULTILINE)[1]
        # One command per source, though several targets may compile it.
        self.arguments = {}
        for entry in database:
            file = pathlib.Path(entry["file"])
            if file in sources() and "nvcc" not in entry["command"].split()[0]:
                self.arguments.setdefault(file, portable_arguments(entry["command"]))
        commands = [
            {"directory": str(ROOT), "file": str(f), "arguments": ["c++", *a, "-c", str(f)]}
            for f, a in self.arguments.items()
        ]
        (self.directory / "compile_commands.json").write_text(json.dumps(commands, indent=1))

    @functools.cache
    def tidied(self):
        """The sources that clang-tidy reads."""
        return [
            source
            for source in self.arguments
            if not any(SLOW_INCLUDE.search(f.read_text()) for f in own_includes(source))
        ]

    def key(self, tool_version, arguments, file):
        """Names everything that a check of `file` depends on."""
        digest = hashlib.sha256(repr((tool_version, self.torch, arguments)).encode())
        for included in sorted(own_includes(file)):
            digest.update(repr((str(included), included.read_bytes())).encode())
        return self.cache / digest.hexdigest()


@functools.cache
def direct_includes(file):
    """The headers of ours that `file` includes, in order."""
    folders = (file.parent, ROOT, *(ROOT / d for d in SOURCE_DIRS))
    found = []
    for name in re.findall(r'^\s*#\s*include\s*["<]([^">]+)', file.read_text(), re.MULTILINE):
        candidates = ((folder / name).resolve() for folder in folders)
        header = next((c for c in candidates if c in sources()), None)
        if header:
            found.append(header)
    return found


def own_includes(file):
    """`file` and the headers of ours that it includes, directly or not."""
    seen, pending = set(), [file]
    while pending:
        current = pending.pop()
        if current not in seen:
            seen.add(current)
            pending += direct_includes(current)
    return seen


def compile_all(files, key_of, check, what):
    """Runs check(file) -> findings on the files that aren't known to be clean."""
    keys = {file: key_of(file) for file in files}
    pending = [file for file in files if not keys[file].exists()]
    begin = time.monotonic()

    def timed(file):
        file_begin = time.monotonic()
        output = check(file)
        if not output:
            keys[file].touch()
        return file, output, time.monotonic() - file_begin

    num_bad = 0
    for number, (file, output, seconds) in enumerate(in_parallel(timed, pending), 1):
        elapsed = time.monotonic() - begin
        progress = f"{elapsed:5.0f} s  {number}/{len(pending)}"
        print(f"  {progress}  {relative(file)} ({seconds:.1f} s)", flush=True)
        if output:
            num_bad += 1
            print(output, flush=True)
    return num_bad, f"{len(files)} {what}, {len(files) - len(pending)} of them unchanged"


def version_of(command):
    return subprocess.run(
        [command, "--version"], capture_output=True, text=True, check=True
    ).stdout


def check_headers(tree):
    """Compiles each header alone, but those that come first in a source: clang-tidy does these."""
    proven = {direct_includes(f)[0] for f in tree.tidied() if direct_includes(f)}
    headers = [
        f
        for f in sources()
        if f.suffix in HEADER_SUFFIXES
        and f not in proven
        and not relative(f).startswith(HALVES)
    ]

    def arguments(header):
        # The host API of the kernels needs no flag at all.
        if header.parent == ROOT / "cuda" and header.suffix == ".h":
            return ["-std=c++20"]
        # As its user is compiled, or else its neighbour.
        folder = ROOT / "csrc" if relative(header).startswith("include/") else header.parent
        example = max(
            tree.arguments,
            key=lambda f: (header in own_includes(f), len(os.path.commonpath((folder, f)))),
        )
        return tree.arguments[example]

    def check(header):
        flags = ["-fsyntax-only", "-Wall", "-Wextra", "-x", "c++", "-"]
        twice = f'#include "{relative(header)}"\n' * 2
        return run([tree.compiler, *arguments(header), *flags], stdin=twice)

    version = version_of(tree.compiler)
    return compile_all(
        headers, lambda h: tree.key(version, arguments(h), h), check, "headers without a source"
    )


def check_arm(tree):
    """Compiles for Arm what is compiled once per instruction set: there the baseline is NEON."""
    compiler = tool("aarch64-linux-gnu-g++")
    isa = re.compile(r"-DROWLANE_ISA=\w+")
    files = [f for f, a in tree.arguments.items() if any(isa.fullmatch(x) for x in a)]

    def arguments(file):
        kept = [a for a in tree.arguments[file] if not a.startswith("-m")]
        return [isa.sub("-DROWLANE_ISA=baseline", a) for a in kept]

    version = version_of(compiler)
    return compile_all(
        files,
        lambda f: tree.key(version, arguments(f), f),
        lambda f: run([compiler, *arguments(f), "-Werror", "-c", str(f), "-o", os.devnull]),
        "sources for Arm",
    )


def check_tidy(tree):
    clang_tidy = tool("clang-tidy")
    ours = f"^{re.escape(str(ROOT))}/({'|'.join(SOURCE_DIRS)})/"
    flags = [clang_tidy, "-p", str(tree.directory), "--quiet", f"--header-filter={ours}"]
    # Clang takes -Wconversion for more than GCC does.
    flags.append("--extra-arg=-Wno-sign-conversion")
    settings = [ROOT / ".clang-tidy", *sorted(ROOT.glob("tests/**/.clang-tidy"))]
    version = version_of(clang_tidy) + "".join(f.read_text() for f in settings)
    # Those with most flags include torch and are slow, so they come first.
    files = sorted(tree.tidied(), key=lambda f: -len(tree.arguments[f]))
    return compile_all(
        files,
        lambda f: tree.key(version, tree.arguments[f], f),
        lambda f: run([*flags, str(f)]),
        "sources",
    )


# ---------------------------------------------------------------------------------------------

STAGES = {
    "format": check_format,
    "rules": check_rules,
    "headers": check_headers,
    "arm": check_arm,
    "clang-tidy": check_tidy,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("build_dir", nargs="?", type=pathlib.Path, help="a configured build tree")
    parser.add_argument("--fix", action="store_true", help="format the sources in place")
    parser.add_argument("--only", choices=STAGES, help="run one stage")
    options = parser.parse_args()
    if options.fix:
        sys.exit("\n".join(clang_format("-i")) or None)
    if options.build_dir is None:
        parser.error("BUILD_DIR is missing")

    tree = BuildTree(options.build_dir.resolve())
    failed = []
    for name, check in STAGES.items():
        if options.only in (None, name):
            begin = time.monotonic()
            num_bad, extent = check(tree)
            verdict = "FAILED" if num_bad else "ok"
            seconds = time.monotonic() - begin
            print(f"{name:<11} {verdict:<7}{seconds:6.1f} s   {extent}", flush=True)
            failed += [name] * bool(num_bad)
    sys.exit(f"lint: {', '.join(failed)} failed" if failed else None)


if __name__ == "__main__":
    main()
