// What every test includes; precompiled once.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>
