"""Loads the library whose ops are torch.ops.rowlane."""

import os
import pathlib

import torch

# Of the wheel, or of a build tree: ROWLANE_LIBRARY_DIR=build/release/lib.
DIRECTORY = pathlib.Path(os.environ.get("ROWLANE_LIBRARY_DIR")
                         or pathlib.Path(__file__).parent / "lib").resolve()

torch.ops.load_library(str(DIRECTORY / "librowlane.so"))
