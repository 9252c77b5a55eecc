"""A model with a look-up, compiled ahead of time, in Python and in a program in C++."""

import pathlib
import subprocess

import pytest
import torch
from torch.utils import cpp_extension

import rowlane


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = rowlane.nn.Embedding(8, 3)

    def forward(self, indices):
        return self.table(indices) * 2


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Model()


@pytest.fixture(scope="module")
def package(model, tmp_path_factory):
    program = torch.export.export(model, (torch.tensor([3, 1]),))
    return torch._inductor.aoti_compile_and_package(
        program, package_path=str(tmp_path_factory.mktemp("model") / "model.pt2"))


def test_runs_in_python(model, package):
    indices = torch.tensor([7, 0])
    assert torch.equal(torch._inductor.aoti_load_package(package)(indices), model(indices))


def test_runs_in_a_program_that_knows_the_op_by_name(model, package, tmp_path):
    source = pathlib.Path(__file__).with_name("run_model.cpp")
    library = rowlane._library.DIRECTORY / "librowlane.so"
    torch_libraries = pathlib.Path(torch.__file__).parent / "lib"
    program = tmp_path / "run_model"
    subprocess.run(
        ["g++", "-std=c++17", "-O0", str(source), "-o", str(program),
         *(f"-I{path}" for path in cpp_extension.include_paths()),
         "-Wl,--no-as-needed", str(library), f"-L{torch_libraries}",
         *(f"-l{name}" for name in ("torch", "torch_cpu", "torch_cuda", "c10", "c10_cuda")
           if (torch_libraries / f"lib{name}.so").exists()),
         f"-Wl,-rpath,{library.parent}:{torch_libraries}",
         "-Wl,--allow-shlib-undefined"], check=True)
    output = subprocess.run([str(program), package], check=True, capture_output=True, text=True)
    expected = model(torch.tensor([3, 1])).sum().item()
    assert float(output.stdout) == pytest.approx(expected, rel=1e-4)
