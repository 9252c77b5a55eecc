// What tests of every type and size are parameterised by.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstdint>
#include <sstream>
#include <string>
#include <tuple>

namespace rowlane::testing {

// Device, dtype, dtype of the indices, dim.
using Param = std::tuple<torch::DeviceType, torch::ScalarType, torch::ScalarType, std::int64_t>;

inline std::string param_name(const ::testing::TestParamInfo<Param>& info) {
  const auto& [device, dtype, index_dtype, dim] = info.param;
  std::ostringstream name;
  name << torch::DeviceTypeName(device) << "_" << torch::toString(dtype) << "_"
       << torch::toString(index_dtype) << "_dim" << dim;
  return name.str();
}

}  // namespace rowlane::testing
