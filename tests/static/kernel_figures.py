"""What nvcc makes of a kernel: its registers, spills and memory accesses, per architecture.

compile_kernels() compiles the files of a compile_commands.json with the flags they are built with,
one architecture at a time, and keeps what it learns until a file, a flag or nvcc changes.
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import json
import pathlib
import re
import shlex
import subprocess
import tempfile
import time

# Kernels of the libraries that are compiled into ours.
FOREIGN = re.compile(r"(?:void )?(?:cub|thrust|cuda)::")

SPELLINGS = (
    (r"\((?:int|long|unsigned int|unsigned long|bool)\)", ""),  # (int)16, as newer demanglers say
    (r"rowlane::(?:kernels|simt)::|\(anonymous namespace\)::|\b(?:static|void) ", ""),
    (r"\bunsigned long\b", "uint64"),
    (r"\bunsigned int\b", "uint32"),
    (r"\blong\b", "int64"),
    (r"\bint\b", "int32"),
    (r"\b__nv_bfloat16\b", "bfloat16"),
    (r"\b__half\b", "half"),
)


class CompileError(Exception):
    """nvcc or a tool that the check needs has failed."""


@dataclasses.dataclass
class Kernel:
    """One instantiation of a kernel, compiled for one architecture."""

    name: str  # gather_kernel<16, false, int32>
    registers: int = 0  # per thread
    stack_bytes: int = 0
    spill_bytes: int = 0  # loads and stores
    block_threads: int = 0  # the launch bound; 0 when there is none
    accesses: dict = dataclasses.field(default_factory=dict)  # how often in the PTX, as access()

    @property
    def base_name(self):
        return self.name.partition("<")[0]

    @property
    def template_args(self):
        return self.name.partition("<")[2].removesuffix(">")

    def template_args_list(self):
        args, depth = [""], 0
        for char in self.template_args:
            depth += (char == "<") - (char == ">")
            if char == "," and depth == 0:
                args.append("")
            else:
                args[-1] += char
        return [arg.strip() for arg in args]


@dataclasses.dataclass
class Compilation:
    """How one source file is compiled in the build, but for the architectures."""

    source: str
    flags: list


def readable_name(demangled):
    """The kernel's name and template arguments, in the words of the sources."""
    for pattern, spelling in SPELLINGS:
        demangled = re.sub(pattern, spelling, demangled)
    depth = 0
    for i, char in enumerate(demangled):
        depth += (char == "<") - (char == ">")
        if char == "(" and depth == 0:
            return demangled[:i]
    return demangled


def access(opcode):
    """Turns "ld.global.nc.L2::cache_hint.v4.u32" into "ld.global.nc.hint 16": 16 bytes."""
    words = opcode.replace("::cta", "").split(".")
    bits = int(re.search(r"\d+", words[-1])[0]) * (2 if words[-1].endswith("x2") else 1)
    lanes = next((int(word[1:]) for word in words if re.fullmatch(r"v\d", word)), 1)
    kept = [word for word in words[1:] if word in ("global", "shared", "local", "nc")]
    kept += ["hint"] if "L2::cache_hint" in words else []
    kept += [words[-1]] if words[0] in ("red", "atom") else []
    return f"{'.'.join(words[:1] + kept)} {lanes * bits // 8}"


def parse_ptx(ptx):
    """Mangled name -> (threads of the launch bound, accesses), for kernels and called functions."""
    opcode = re.compile(r"(?<![\w.])(?:ld|st|red|atom)\.(?!param|const)[\w.:]+")
    functions = {}
    for text in re.split(r"^(?=(?:\.(?:visible|weak) )?\.(?:entry|func)\b)", ptx, flags=re.M)[1:]:
        name = re.search(r"\.(?:entry|func)\s+(?:\([^)]*\)\s*)?(\w+)", text)
        bound = re.search(r"^\.maxntid (\d+)", text, re.M)
        accesses = {}
        for match in opcode.finditer(text):
            accesses[access(match[0])] = accesses.get(access(match[0]), 0) + 1
        functions[name[1]] = (int(bound[1]) if bound else 0, accesses)
    return functions


def parse_ptxas(log):
    """Mangled name -> (registers, stack bytes, spill bytes)."""
    kernels = {}
    for text in log.split("Compiling entry function '")[1:]:
        frames = [[int(n) for n in frame] for frame in re.findall(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", text)]
        registers = int(re.search(r"Used (\d+) registers", text)[1])
        stack, stores, loads = (max(column) for column in zip(*frames))
        kernels[text.partition("'")[0]] = (registers, stack, stores + loads)
    return kernels


def parse_kernels(ptx, log):
    """Our kernels in one compilation, and functions that they call, which have no registers."""
    functions, resources = parse_ptx(ptx), parse_ptxas(log)
    demangled = run("c++filt", *functions).stdout.splitlines() if functions else []
    kernels = []
    for mangled, name in zip(functions, demangled, strict=True):
        if not FOREIGN.match(name):
            kernels.append(Kernel(readable_name(name), *resources.get(mangled, (0, 0, 0)),
                                  *functions[mangled]))
    return kernels


def run(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise CompileError(f"{command[0]} is not installed.") from error
    except subprocess.CalledProcessError as error:
        raise CompileError(f"{shlex.join(command)}\n{error.stderr}") from error


@functools.lru_cache(maxsize=None)
def digest(path):
    try:
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def read_compilations(compile_commands, nvcc, folder):
    """How the build compiles each CUDA file under `folder`."""
    compilations = {}
    for entry in json.loads(pathlib.Path(compile_commands).read_text(encoding="utf-8")):
        source = pathlib.Path(entry["directory"], entry["file"]).resolve()
        words = entry.get("arguments") or shlex.split(entry["command"])
        if nvcc not in words or pathlib.Path(folder).resolve() not in source.parents:
            continue
        words = words[words.index(nvcc) + 1:]
        flags, skip = [], False
        for word, after in zip(words, words[1:] + [""]):
            takes_value = word in ("-o", "-MF", "-MT", "-gencode", "-arch")
            if not (skip or takes_value or word in ("-c", "-dc", "-MD", "-MMD", entry["file"])
                    or word.startswith(("--generate-code", "-gencode=", "-arch="))):
                flags.append(word)
            skip = takes_value and bool(after)
        compilations[source] = Compilation(str(source), flags)
    return [compilations[source] for source in sorted(compilations)]


def compile_one(nvcc, compilation, arch, cache_dir):
    """The kernels of one file for one architecture, and whether they were known already."""
    key = [run(nvcc, "--version").stdout, digest(__file__), compilation.flags]
    stored = pathlib.Path(cache_dir, f"{pathlib.Path(compilation.source).stem}.sm_{arch}.json")
    try:
        known = json.loads(stored.read_text(encoding="utf-8"))
        if known["key"] == key and all(digest(p) == d for p, d in known["files"].items()):
            return [Kernel(**kernel) for kernel in known["kernels"]], True
    except (OSError, ValueError, KeyError):
        pass
    with tempfile.TemporaryDirectory(dir=cache_dir) as scratch:
        log = run(nvcc, *compilation.flags, f"-gencode=arch=compute_{arch},code=sm_{arch}",
                  "-cubin", "-Xptxas=-v", "--keep", f"--keep-dir={scratch}",
                  "-o", f"{scratch}/out.cubin", compilation.source).stderr
        [ptx] = pathlib.Path(scratch).glob("*.ptx")
        [preprocessed] = pathlib.Path(scratch).glob("*.cpp1.ii")
        kernels = parse_kernels(ptx.read_text(encoding="utf-8"), log)
        line_markers = re.findall(r'^# \d+ "([^"<]+)"', preprocessed.read_text("utf-8"), re.M)
    known = {"key": key, "files": {file: digest(file) for file in sorted(set(line_markers))},
             "kernels": [dataclasses.asdict(kernel) for kernel in kernels]}
    stored.write_text(json.dumps(known), encoding="utf-8")
    return kernels, False


def compile_kernels(nvcc, compilations, architectures, cache_dir, jobs):
    """{architecture: {name: Kernel}}; prints a line for each compilation."""
    pathlib.Path(cache_dir).mkdir(parents=True, exist_ok=True)
    kernels = {arch: {} for arch in architectures}
    work = [(compilation, arch) for compilation in compilations for arch in architectures]

    def compile_timed(compilation, arch):
        start = time.monotonic()
        found, cached = compile_one(nvcc, compilation, arch, cache_dir)
        return found, "unchanged" if cached else f"{time.monotonic() - start:.1f} s"

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(compile_timed, *item): item for item in work}
        for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
            compilation, arch = futures[future]
            try:
                found, took = future.result()
            except CompileError:
                pool.shutdown(cancel_futures=True)
                raise
            kernels[arch].update((kernel.name, kernel) for kernel in found)
            print(f"[{done:2}/{len(work)}] {pathlib.Path(compilation.source).name} sm_{arch}: "
                  f"{len(found)} kernels, {took}", flush=True)
    return kernels


def cuda_version(nvcc):
    return re.search(r"release ([\d.]+)", run(nvcc, "--version").stdout)[1]


def known_architectures(nvcc):
    codes = run(nvcc, "--list-gpu-code").stdout
    return {int(arch) for arch in re.findall(r"sm_(\d+)$", codes, re.M)}
