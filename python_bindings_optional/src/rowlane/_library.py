"""Loads the library whose ops are torch.ops.rowlane."""

import pathlib

import torch

DIRECTORY = pathlib.Path(__file__).parent / "lib"

torch.ops.load_library(str(DIRECTORY / "librowlane.so"))
