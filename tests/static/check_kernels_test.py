#!/usr/bin/env python3
"""Shows that check_kernels.py finds what it looks for, in broken_kernels.cu among others.

usage: check_kernels_test.py NVCC COMPILE_COMMANDS KERNELS_FOLDER CACHE
"""

import json
import pathlib
import re
import sys
import tempfile
import unittest

import check_kernels
import kernel_figures
from kernel_figures import Kernel

ARCH = 90
SOURCE = pathlib.Path(__file__).with_name("broken_kernels.cu")
NVCC, COMPILE_COMMANDS, KERNELS_FOLDER, CACHE = (sys.argv.pop(1) for _ in range(4))


def table_of(registers, exceptions=()):
    return {"cuda": "13.0", "architectures": [ARCH], "exceptions": list(exceptions),
            "registers": registers}


def gather(registers):
    """A right gather kernel with this many registers."""
    accesses = {access: 4 for access in check_kernels.EXPECTED["gather_kernel"](ARCH, 16, "false", "int32")}
    return {ARCH: {"gather_kernel<16, false, int32>": Kernel(
        "gather_kernel<16, false, int32>", registers, block_threads=256, accesses=accesses)}}


class BrokenKernels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        like = kernel_figures.read_compilations(COMPILE_COMMANDS, NVCC, KERNELS_FOLDER)[0]
        compilation = kernel_figures.Compilation(str(SOURCE), like.flags)
        cls.kernels = kernel_figures.compile_kernels(NVCC, [compilation], [ARCH], CACHE, 1)
        cls.findings, _ = check_kernels.check_all(cls.kernels, table_of({}), True)

    def assert_found(self, kernel, check, pattern):
        texts = [finding.text for finding in self.findings
                 if finding.kernel == kernel and finding.check == check]
        self.assertTrue(any(re.search(pattern, text) for text in texts),
                        f"{kernel} {check}: {texts}\n{self.kernels[ARCH].get(kernel)}")

    def test_narrow_accesses(self):
        name = "gather_kernel<16, false, int32>"
        self.assert_found(name, "loads", r"global.nc 16, .*found ld\.global\.nc 4$")
        self.assert_found(name, "stores", r"global 16, .*found st\.global 4$")

    def test_loads_past_the_read_only_path(self):
        self.assert_found("gather_kernel<8, false, int32>", "loads", r"found ld\.global 8, ld\.g")

    def test_atomics_with_a_result(self):
        self.assert_found("scatter_atomic_kernel<float, 4, int64>", "reductions", r"found atom\.")

    def test_local_memory(self):
        name = "make_pairs_kernel<int32, uint32>"
        self.assert_found(name, "memory", r"stack frame of 128 bytes")
        self.assert_found(name, "memory", r"uses local memory: ld\.local 4, st\.local")

    def test_spills(self):
        self.assert_found("count_runs_kernel<uint32>", "memory", r"spills \d+ bytes")

    def test_few_threads(self):
        self.assert_found("count_runs_kernel<uint64>", "occupancy", r"25\.0% at \d+")

    def test_no_launch_bound(self):
        self.assert_found("gather_kernel<4, false, int32>", "occupancy", "no __launch_bounds__")

    def test_kernel_without_an_expectation(self):
        self.assert_found("unheard_of_kernel", "loads", "isn't in EXPECTED")

    def test_kernel_without_a_figure(self):
        self.assert_found("unheard_of_kernel", "registers", "not in the table")


class Figures(unittest.TestCase):
    def test_one_register_more_is_a_finding(self):
        table = table_of({"gather_kernel": {"16, false, int32": [40]}})
        for registers, texts in ((40, []), (41, ["41 registers, the table says 40"])):
            findings, _ = check_kernels.check_all(gather(registers), table, True)
            self.assertEqual([finding.text for finding in findings], texts)

    def test_one_register_less_is_a_hint(self):
        table = table_of({"gather_kernel": {"16, false, int32": [40]}})
        findings, hints = check_kernels.check_all(gather(39), table, True)
        self.assertEqual((findings, len(hints)), ([], 1))

    def test_other_cuda_versions_have_other_registers(self):
        self.assertEqual(check_kernels.check_all(gather(200), table_of({}), False), ([], []))

    def test_an_exception_covers_its_check_only(self):
        exception = {"check": "registers", "kernels": ["gather_kernel<*>"], "reason": "a test"}
        table = table_of({"gather_kernel": {"16, false, int32": [40]}}, [exception])
        findings, _ = check_kernels.check_all(gather(80), table, True)
        remaining, [(_, covered)], stale = check_kernels.split_exceptions(findings, table)
        self.assertEqual(([finding.check for finding in remaining], len(covered), stale),
                         (["occupancy"], 1, []))

    def test_an_exception_without_a_use_is_reported(self):
        exception = {"check": "stores", "kernels": ["gather_kernel<*>"], "reason": "a test"}
        _, _, stale = check_kernels.split_exceptions([], table_of({}, [exception]))
        self.assertEqual(stale, ["gather_kernel<*> stores"])

    def test_the_written_table_is_read_back(self):
        exception = {"check": "stores", "kernels": ["gather_kernel<*>"], "reason": "a test"}
        table = table_of({}, [exception])
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "registers.json")
            check_kernels.update_table(path, table, gather(40), "13.0")
            self.assertEqual(json.loads(path.read_text(encoding="utf-8")), table)
        self.assertEqual(check_kernels.check_all(gather(40), table, True), ([], []))

    def test_occupancy_of_256_threads(self):
        # NVIDIA's occupancy calculator: 8, 6, 5, 4, 3, 2 and 1 blocks of 256 threads on an H100.
        shares = [check_kernels.occupancy(90, registers, 256)
                  for registers in (32, 40, 48, 64, 80, 128, 255)]
        self.assertEqual(shares, [1, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
        self.assertEqual(check_kernels.occupancy(86, 40, 256), 1)


class Names(unittest.TestCase):
    def test_readable(self):
        self.assertEqual(kernel_figures.readable_name(
            "void rowlane::kernels::f<(int)16, __half, unsigned long>(rowlane::kernels::A<16>)"),
            "f<16, half, uint64>")

    def test_nested_template_arguments(self):
        kernel = Kernel("f<Sink<float, Sum<4> >, int32>")
        self.assertEqual(kernel.template_args_list(), ["Sink<float, Sum<4> >", "int32"])

    def test_accesses(self):
        for opcode, access in (("ld.global.nc.L2::cache_hint.v4.u32", "ld.global.nc.hint 16"),
                               ("st.global.v2.b16", "st.global 4"),
                               ("ld.volatile.global.u8", "ld.global 1"),
                               ("red.relaxed.gpu.global.add.v4.f32", "red.global.f32 16"),
                               ("red.relaxed.gpu.global.add.noftz.f16x2", "red.global.f16x2 4"),
                               ("atom.shared::cta.cas.b64", "atom.shared.b64 8")):
            self.assertEqual(kernel_figures.access(opcode), access)


if __name__ == "__main__":
    unittest.main()
