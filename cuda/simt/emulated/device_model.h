// The devices that the emulator can pretend to be.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "cuda/simt/device_info.h"

namespace rowlane::simt::emulated {

// Each constant's source is beside it in device_model.cpp.
struct DeviceModel {
  const char* name;
  kernels::DeviceInfo info;
  int max_blocks_per_sm;
  std::int64_t shared_bytes_per_sm;
  double clock_hz;
  double dram_bytes_per_s;
  double l2_bytes_per_s;
  double atomic_sectors_per_s;  // reductions of the whole L2, one sector each
  double same_address_s;        // between two atomics on one address
  double l2_latency_s;          // of a load, of an idle device
  double dram_latency_s;
  double launch_s;  // between the ends of two empty kernels of one stream
};

// The H100.
const DeviceModel& default_device();
// "h100", "a100", "b200" or "l4"; nullptr for any other name.
const DeviceModel* find_device(std::string_view name);
const std::vector<DeviceModel>& all_devices();

}  // namespace rowlane::simt::emulated
