#include "cuda/simt/emulated/device_model.h"

namespace rowlane::simt::emulated {

const std::vector<DeviceModel>& all_devices() {
  static const std::vector<DeviceModel> devices = {
      {.name = "h100",
       .info = {.num_sms = 132,
                .compute_capability = 90,
                .max_threads_per_sm = 2048,
                .l2_bytes = 50LL << 20,
                .shared_bytes_per_block = 227 << 10},
       .max_blocks_per_sm = 32,
       .shared_bytes_per_sm = 228 << 10,
       .clock_hz = 1.755e9,
       .dram_bytes_per_s = 3.35e12,
       .l2_bytes_per_s = 5.5e12,
       .atomic_sectors_per_s = 7.5e10,
       .same_address_s = 1e-9,
       .l2_latency_s = 150e-9,
       .dram_latency_s = 480e-9,
       .launch_s = 2.5e-6},
  };
  return devices;
}

const DeviceModel& default_device() { return all_devices().front(); }

const DeviceModel* find_device(std::string_view name) {
  for (const DeviceModel& device : all_devices()) {
    if (name == device.name) {
      return &device;
    }
  }
  return nullptr;
}

}  // namespace rowlane::simt::emulated
