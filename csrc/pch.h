// What nearly every file of the library includes from torch; precompiled once.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>
