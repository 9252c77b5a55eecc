#!/usr/bin/env python3
"""Checks what nvcc makes of each kernel, for every supported architecture.

  memory       no spills, no stack frame, no local memory
  loads, stores, reductions
               the accesses to global memory are exactly those of EXPECTED, by their width
  registers    no more than in the table
  occupancy    on sm_80 and sm_90, registers leave room for half of an SM's threads

Registers depend on ptxas, so the last two are checked with the table's CUDA version only. The
table also lists the exceptions, each with its reason; one that is no longer needed is an error.
"""

import argparse
import collections
import fnmatch
import json
import os
import pathlib
import shlex
import sys
import time

import kernel_figures

SIZES = {"half": 2, "bfloat16": 2, "float": 4, "double": 8,
         "int32": 4, "uint32": 4, "int64": 8, "uint64": 8}

# CUDA C++ Programming Guide, "Technical Specifications per Compute Capability". Everywhere an SM
# has 65536 registers in 4 parts, which a warp gets 256 at a time.
MAX_THREADS_PER_SM = {75: 1024, 80: 2048, 86: 1536, 89: 1536, 90: 2048, 100: 2048}
SM_PARTS, REGISTERS_PER_PART, REGISTER_UNIT, WARP_SIZE = 4, 16384, 256, 32

OCCUPANCY_ARCHITECTURES = (80, 90)
MIN_OCCUPANCY = 0.5

Finding = collections.namedtuple("Finding", "kernel arch check text")


def read_only(num_bytes):
    return f"ld.global.nc {num_bytes}"


def hint(arch, num_bytes):
    """Hints exist from sm_80 on, for 4 bytes and more."""
    return ".hint" if arch >= 80 and num_bytes >= 4 else ""


def read_hinted(arch, num_bytes):
    """A load of what should leave L2 first or last."""
    return f"ld.global.nc{hint(arch, num_bytes)} {num_bytes}"


def store(num_bytes):
    return f"st.global {num_bytes}"


# What an index out of range costs: a count, and a description of it.
REPORT = {"atom.global.u64 8", store(8)}


def store_hinted(arch, num_bytes):
    return f"st.global{hint(arch, num_bytes)} {num_bytes}"


def gather(arch, chunk_bytes, is_staged, index):
    chunk_bytes = int(chunk_bytes)
    # Staged rows are stored 16 bytes at a time, up to the last few.
    wide_bytes = 16 if is_staged == "true" else chunk_bytes
    return REPORT | {read_only(SIZES[index]), read_only(chunk_bytes),
                     read_hinted(arch, chunk_bytes), store(chunk_bytes), store(wide_bytes),
                     store_hinted(arch, wide_bytes)}


def gather_strided(_, chunk_bytes, index):
    chunk_bytes = int(chunk_bytes)
    return REPORT | {read_only(SIZES[index]), read_only(chunk_bytes), store(chunk_bytes)}


def scatter_atomic(arch, elem, elems, index):
    row_bytes = SIZES[elem] * int(elems)
    add_bytes = row_bytes if arch >= 90 and elem == "float" else SIZES[elem]
    return REPORT | {read_only(SIZES[index]), read_hinted(arch, row_bytes),
                     f"red.global.f{SIZES[elem] * 8} {add_bytes}"}


def element(template):
    """The type in Name<type>."""
    return template.partition("<")[2].removesuffix(">")


def stepped(elem, elems):
    """Weights and states of a row, of either width, and the number of its step."""
    elem_bytes = SIZES[elem]
    widths = {elem_bytes * int(elems), min(max(elem_bytes, 4) * int(elems), 16)}
    return {f"ld.global {width}" for width in widths} | {store(width) for width in widths | {8}}


def row_step(arch, elem, elems):
    # Rows and their number, gradients; a row's own step and state.
    return REPORT | stepped(elem, elems) | {
        read_only(8), read_hinted(arch, SIZES[elem] * int(elems)), "ld.global 8",
        f"ld.global {max(SIZES[elem], 4)}", store(max(SIZES[elem], 4))}


def row_catch_up(_, elem, elems, key):
    # Keys, numbers of the steps; a row's own step.
    return stepped(elem, elems) | {read_only(SIZES[key]), read_only(8), read_only(4), "ld.global 8"}


def segment_reduce(arch, source, sink, elems, key):
    elem = element(sink)
    elem_bytes = SIZES[elem]
    row_bytes = elem_bytes * int(elems)
    accum_bytes = max(elem_bytes, 4)
    # Keys, positions, gradient rows; finished rows, partial sums, what crosses the share's edges.
    accesses = {read_only(SIZES[key]), read_hinted(arch, row_bytes), store(row_bytes),
                store(min(accum_bytes * int(elems), 16)), store(8)}
    if sink.startswith("StepRowSink"):
        return accesses | stepped(elem, elems)
    if sink.startswith("AddingRowSink"):
        accesses.add(f"ld.global {row_bytes}")
    else:
        # Gathered rows, by 16 bytes in between the unaligned ends.
        accesses |= {store(elem_bytes), store(16)}
    if sink.startswith("CompactRowSink"):
        accesses.add(read_only(4))  # how many runs begin in the shares before
    return accesses


def small_backward(arch, source, sink, elems):
    elem_bytes = SIZES[element(sink)]
    row_bytes = elem_bytes * int(elems)
    # Indices of either type, gradient rows; finished rows, and gathered ones.
    return REPORT | {read_only(8), read_only(4), read_hinted(arch, row_bytes), store(row_bytes),
                     store(elem_bytes), store(16)}


def segment_combine(_, source, sink, key):
    elem_bytes = SIZES[element(sink)]
    accesses = {read_only(8), read_only(max(elem_bytes, 4)), store(elem_bytes)}
    if sink.startswith("StepRowSink"):
        return accesses | stepped(element(sink), 1)
    if sink.startswith("AddingRowSink"):
        accesses.add(f"ld.global {elem_bytes}")
    if sink.startswith("CompactRowSink"):
        accesses.add(store(8))
    return accesses


def count_runs(_, key):
    return {read_only(SIZES[key]), store(4)}


def pairs_read(pairs):
    """Indices of their type, or the keys and positions that a pass has stored."""
    if pairs == "StoredPairs":
        return {read_only(4)}
    return REPORT | {read_only(SIZES[element(pairs)])}


def count_digits(_, pairs):
    return pairs_read(pairs) | {store(4)}


def scatter_pairs(_, pairs, _items):
    return pairs_read(pairs) | {read_only(16), store(4)}


def sort_block(_, index, _items):
    return REPORT | {read_only(SIZES[index]), store(4)}


def renorm(_, elem, elems, key):
    row_bytes = SIZES[elem] * int(elems)
    return {read_only(SIZES[key]), f"ld.global {row_bytes}", store(row_bytes)}


def make_pairs(_, index, key):
    return REPORT | {read_only(SIZES[index]), store(SIZES[key])}


# Kernel -> f(architecture, *template arguments): its accesses to global memory, as
# kernel_figures.access() writes them.
EXPECTED = {
    "count_digits_kernel": count_digits,
    "count_runs_kernel": count_runs,
    "gather_kernel": gather,
    "gather_strided_kernel": gather_strided,
    "make_pairs_kernel": make_pairs,
    "renorm_kernel": renorm,
    "row_catch_up_kernel": row_catch_up,
    "row_step_kernel": row_step,
    "scatter_atomic_kernel": scatter_atomic,
    "scatter_pairs_kernel": scatter_pairs,
    "segment_combine_kernel": segment_combine,
    "segment_reduce_kernel": segment_reduce,
    "sort_block_kernel": sort_block,
    "small_backward_kernel": small_backward,
}


def occupancy(arch, registers, block_threads):
    """The share of an SM's threads that are resident, as far as registers decide."""
    warp_registers = -(-max(registers, 1) * WARP_SIZE // REGISTER_UNIT) * REGISTER_UNIT
    warps = SM_PARTS * (REGISTERS_PER_PART // warp_registers)
    threads = min(warps * WARP_SIZE, MAX_THREADS_PER_SM[arch])
    return threads // block_threads * block_threads / MAX_THREADS_PER_SM[arch]


def check_memory(kernel):
    if kernel.spill_bytes:
        yield "memory", f"spills {kernel.spill_bytes} bytes"
    if kernel.stack_bytes:
        yield "memory", f"has a stack frame of {kernel.stack_bytes} bytes"
    local = sorted(access for access in kernel.accesses if ".local" in access)
    if local:
        yield "memory", f"uses local memory: {', '.join(local)}"


def check_accesses(kernel, arch):
    if kernel.base_name not in EXPECTED:
        yield "loads", "isn't in EXPECTED, which says how each kernel uses global memory"
        return
    expected = EXPECTED[kernel.base_name](arch, *kernel.template_args_list())
    # An access without a state space may be one to global memory.
    found = {access for access in kernel.accesses if not any(
        space in access for space in (".shared", ".local"))}
    for check, opcode in (("loads", "ld"), ("stores", "st"), ("reductions", ("red", "atom"))):
        wanted, got = ({access for access in accesses if access.startswith(opcode)}
                       for accesses in (expected, found))
        if wanted != got:
            yield check, (f"should be {', '.join(sorted(wanted)) or 'none'}; "
                          f"found {', '.join(sorted(got)) or 'none'}")


def check_figures(kernel, arch, known):
    if known is None:
        yield "registers", f"{kernel.registers} registers, not in the table yet"
    elif kernel.registers > known:
        yield "registers", f"{kernel.registers} registers, the table says {known}"
    if not kernel.block_threads:
        yield "occupancy", "has no __launch_bounds__"
    elif arch in OCCUPANCY_ARCHITECTURES:
        share = occupancy(arch, kernel.registers, kernel.block_threads)
        if share < MIN_OCCUPANCY:
            yield "occupancy", f"occupancy {share:.1%} at {kernel.registers} registers"


def check_all(kernels, table, check_registers):
    """The findings for {architecture: {name: Kernel}}, and hints at figures that got better."""
    findings, hints = [], []
    for arch in kernels:
        for kernel in kernels[arch].values():
            problems = list(check_memory(kernel))
            if kernel.registers:
                problems += check_accesses(kernel, arch)
            if kernel.registers and check_registers:
                known = lookup(table, kernel, arch)
                problems += check_figures(kernel, arch, known)
                if known is not None and kernel.registers < known:
                    hints.append(f"{kernel.name} sm_{arch}: {kernel.registers}, not {known}")
            findings += [Finding(kernel.name, arch, *problem) for problem in problems]
    if check_registers:
        names = set().union(*kernels.values())
        hints += [f"{name}<{args}> is not in the sources"
                  for name, rows in table["registers"].items() for args in rows
                  if f"{name}<{args}>" not in names and name not in names]
    return findings, hints


def lookup(table, kernel, arch):
    row = table["registers"].get(kernel.base_name, {}).get(kernel.template_args, ())
    return dict(zip(table["architectures"], row)).get(arch)


def split_exceptions(findings, table):
    """Findings without an exception, (exception, its findings), and exceptions without a use."""
    remaining, excepted, stale = list(findings), [], []
    for exception in table["exceptions"]:
        group = []
        for pattern in exception["kernels"]:
            covered = [finding for finding in remaining if finding.check == exception["check"]
                       and fnmatch.fnmatchcase(finding.kernel, pattern)]
            if not covered:
                stale.append(f"{pattern} {exception['check']}")
            group += covered
            remaining = [finding for finding in remaining if finding not in covered]
        excepted.append((exception, group))
    return remaining, excepted, stale


def update_table(path, table, kernels, version):
    """Writes the table with the figures of `kernels`, a line for each instantiation."""
    architectures = sorted(kernels)
    instances = {kernel.name: kernel for figures in kernels.values() for kernel in figures.values()
                 if kernel.registers}
    registers = {}
    for _, kernel in sorted(instances.items()):
        row = [kernels[arch][kernel.name].registers if kernel.name in kernels[arch] else None
               for arch in architectures]
        registers.setdefault(kernel.base_name, {})[kernel.template_args] = row
    blocks = [f"    {json.dumps(name)}: {{\n" + ",\n".join(
        f"      {json.dumps(args)}: {json.dumps(row)}" for args, row in rows.items()) + "\n    }"
        for name, rows in registers.items()]
    exceptions = json.dumps(table["exceptions"], indent=2).replace("\n", "\n  ")
    path.write_text(f'{{\n  "cuda": "{version}",\n  "architectures": {architectures},\n'
                    f'  "exceptions": {exceptions},\n  "registers": {{\n'
                    + ",\n".join(blocks) + "\n  }\n}\n", encoding="utf-8")
    table.update(cuda=version, architectures=architectures, registers=registers)


def spread(values, form):
    low, high = form(min(values)), form(max(values))
    return low if low == high else f"{low}-{high}"


def print_summary(kernels):
    groups = {}
    for arch, figures in kernels.items():
        for kernel in figures.values():
            if kernel.registers and kernel.block_threads:
                share = occupancy(arch, kernel.registers, kernel.block_threads)
                groups.setdefault(kernel.base_name, {}).setdefault(arch, []).append(
                    (kernel.registers, share))
    print("\nregisters per thread, and occupancy by registers")
    print(f"{'':24}" + "".join(f"{f'sm_{arch}':>16}" for arch in kernels))
    for name, by_arch in sorted(groups.items()):
        for column, form in ((0, str), (1, lambda share: f"{share:.0%}")):
            cells = [spread([row[column] for row in rows], form) for rows in by_arch.values()]
            print(f"{'' if column else name:24}" + "".join(f"{cell:>16}" for cell in cells))


def print_grouped(findings):
    """A line for each text, with the architectures and kernels that it is about."""
    groups = {}
    for finding in findings:
        groups.setdefault((finding.kernel, finding.check, finding.text), []).append(finding.arch)
    for (kernel, check, text), architectures in groups.items():
        print(f"  {kernel} {check}: {text} ({', '.join(f'sm_{arch}' for arch in architectures)})")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile-commands", required=True, help="of the build: flags and sources")
    parser.add_argument("--nvcc", required=True)
    parser.add_argument("--sources", required=True, help="the folder of the kernels")
    parser.add_argument("--architectures", required=True, help="75,80,...")
    parser.add_argument("--cache", required=True, help="a folder for what is known already")
    parser.add_argument("--table", type=pathlib.Path,
                        default=pathlib.Path(__file__).with_name("registers.json"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--update", action="store_true", help="write the figures into the table")
    args = parser.parse_args()
    args.architectures = [int(arch) for arch in args.architectures.split(",")]
    if unknown := set(args.architectures) - set(MAX_THREADS_PER_SM):
        parser.error(f"MAX_THREADS_PER_SM lacks {', '.join(map(str, sorted(unknown)))}")
    return args


def main():
    args = parse_arguments()
    start = time.monotonic()
    table = json.loads(args.table.read_text(encoding="utf-8"))
    version = kernel_figures.cuda_version(args.nvcc)
    possible = kernel_figures.known_architectures(args.nvcc)
    for arch in sorted(set(args.architectures) - possible):
        print(f"sm_{arch} is left out: CUDA {version} doesn't compile for it")
    compilations = kernel_figures.read_compilations(args.compile_commands, args.nvcc, args.sources)
    if not compilations:
        raise kernel_figures.CompileError(f"{args.compile_commands} has no file of {args.sources}.")
    architectures = [arch for arch in args.architectures if arch in possible]
    kernels = kernel_figures.compile_kernels(
        args.nvcc, compilations, architectures, args.cache, args.jobs)
    if args.update:
        update_table(args.table, table, kernels, version)

    same_version = version == table["cuda"]
    findings, hints = check_all(kernels, table, same_version)
    failures, excepted, stale = split_exceptions(findings, table)
    print_summary(kernels)
    for exception, group in excepted:
        if group:
            print(f"\nExcepted, {exception['check']}: {exception['reason']}")
            print_grouped(group)
    if hints:
        print("\nFewer registers than in the table:")
        print("\n".join(f"  {hint}" for hint in hints))
    if not same_version:
        print(f"\nFigures are for CUDA {table['cuda']}, found {version}: "
              "only spills and widths are checked.")
    if not same_version or not set(kernels) >= set(table["architectures"]):
        stale = []  # what was not checked may still need them
    if failures or stale:
        print("\nFAILED")
        print_grouped(failures)
        for exception in stale:
            print(f"  {exception}: passes, so its exception in {args.table.name} must go")
    if hints or any(failure.check == "registers" for failure in failures):
        command = shlex.join([sys.executable, *sys.argv, "--update"])
        print(f"\nTo write the registers into {args.table.name}:\n  {command}")
    count = sum(map(len, kernels.values()))
    problems = len(failures) + len(stale)
    print(f"\n{count} compiled kernels, {problems} problems, {time.monotonic() - start:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except kernel_figures.CompileError as error:
        sys.exit(f"error: {error}")
