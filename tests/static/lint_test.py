"""Lint's table of includes: what is forbidden is found, and what is allowed isn't."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import lint  # noqa: E402


class Includes(unittest.TestCase):
    def findings(self, file, included):
        with tempfile.TemporaryDirectory() as folder:
            lint.ROOT = pathlib.Path(folder).resolve()
            for name, text in ((included, "#pragma once\n"), (file, f'#include "{included}"\n')):
                path = lint.ROOT / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            lint.sources.cache_clear()
            lint.direct_includes.cache_clear()
            return list(lint.forbidden_includes(lint.ROOT / file))

    def test_forbidden_ones_are_found(self):
        for file, included in (("csrc/ops/checks.cpp", "csrc/cpu/indices.h"),
                               ("csrc/autograd/embedding.cpp", "csrc/cpu/indices.h"),
                               ("csrc/cpu/loops/gather.h", "csrc/cpu/indices.h"),
                               ("csrc/cpu/embedding.cpp", "csrc/device/stream.h"),
                               ("cuda/simt/warp.h", "cuda/vec.cuh"),
                               ("cuda/simt/emulated/device.h", "cuda/status.h"),
                               ("cuda/gather.cu", "cuda/simt/emulated/device.h"),
                               ("include/rowlane/embedding.h", "csrc/ops/embedding.h"),
                               ("benchmarks/bars/measure.cpp", "csrc/cpu/row_gradient.h"),
                               ("benchmarks/workloads/workload.cpp", "benchmarks/harness/plan.h"),
                               ("examples/one_hot.cpp", "cuda/gather.h")):
            with self.subTest(file=file, included=included):
                found = self.findings(file, included)
                self.assertEqual(len(found), 1)
                self.assertIn(f"{file}: includes {included}", found[0])

    def test_allowed_ones_are_not(self):
        for file, included in (("csrc/ops/step_rule.h", "cuda/step_rule.h"),
                               ("csrc/cpu/embedding.cpp", "csrc/cpu/loops/select.h"),
                               ("csrc/cpu/loops/step_loops.cpp", "csrc/cpu/loops/lanes.h"),
                               ("csrc/nn/embedding.cpp", "csrc/optim/row_table.h"),
                               ("cuda/gather.cu", "cuda/simt/simt.cuh"),
                               ("cuda/simt/simt.cuh", "cuda/simt/emulated/device.h"),
                               ("benchmarks/traffic/floors.h", "cuda/simt/emulated/l2_model.h"),
                               ("examples/support/csv.cpp", "examples/support/csv.h"),
                               ("tests/cpu/gradient_test.cpp", "csrc/cpu/gradient.h")):
            with self.subTest(file=file, included=included):
                self.assertEqual(self.findings(file, included), [])


if __name__ == "__main__":
    unittest.main()
