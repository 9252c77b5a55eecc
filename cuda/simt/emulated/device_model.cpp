#include "cuda/simt/emulated/device_model.h"

namespace rowlane::simt::emulated {
namespace {

// Sources:
//   [guide]    CUDA C++ Programming Guide, technical specifications per compute capability
//   [sheet]    NVIDIA's data sheet or architecture whitepaper of the device
//   [hopper]   Luo et al., Benchmarking and Dissecting the Nvidia Hopper GPU Architecture,
//              arXiv:2402.13499, tables III and IV: clocks and latencies in cycles, of an H100
//              PCIe, an A100 and an RTX 4090, measured by pointer chasing on an idle device
//   [guess]    no solid source: the H100's figure scaled by SMs and clock, or a round number
constexpr double kGiga = 1e9;
constexpr double kTera = 1e12;
constexpr double kNano = 1e-9;

// Two empty kernels of one stream follow each other in 2 to 3 us on every device of the last years.
// [guess]
constexpr double kLaunchSeconds = 2.5e-6;
// One atomic on an address per one to two L2 clocks. [guess]
constexpr double kSameAddressSeconds = 1e-9;

constexpr std::int64_t kib(std::int64_t n) { return n << 10; }
constexpr std::int64_t mib(std::int64_t n) { return n << 20; }

const DeviceModel kH100 = {
    .name = "h100",                                // SXM5, 80 GB
    .info = {.num_sms = 132,                       // [sheet]
             .compute_capability = 90,             // [guide]
             .max_threads_per_sm = 2048,           // [guide]
             .l2_bytes = mib(50),                  // [sheet]
             .shared_bytes_per_block = kib(227)},  // [guide]
    .max_blocks_per_sm = 32,                       // [guide]
    .shared_bytes_per_sm = kib(228),               // [guide]
    .clock_hz = 1.755 * kGiga,           // [hopper], the PCIe card; the SXM5 boosts higher
    .dram_bytes_per_s = 3.35 * kTera,    // [sheet]
    .l2_bytes_per_s = 5.5 * kTera,       // [guess], measurements differ: 5.5 to 6.7
    .atomic_sectors_per_s = 75 * kGiga,  // [guess], 2.4 TB/s
    .same_address_s = kSameAddressSeconds,
    .l2_latency_s = 150 * kNano,    // [hopper], about 260 cycles
    .dram_latency_s = 273 * kNano,  // [hopper], 478.8 cycles
    .launch_s = kLaunchSeconds,
};

const DeviceModel kA100 = {
    .name = "a100",                                // SXM4, 80 GB
    .info = {.num_sms = 108,                       // [sheet]
             .compute_capability = 80,             // [guide]
             .max_threads_per_sm = 2048,           // [guide]
             .l2_bytes = mib(40),                  // [sheet]
             .shared_bytes_per_block = kib(163)},  // [guide]
    .max_blocks_per_sm = 32,                       // [guide]
    .shared_bytes_per_sm = kib(164),               // [guide]
    .clock_hz = 1.41 * kGiga,                      // [sheet]
    .dram_bytes_per_s = 2.039 * kTera,             // [sheet]
    // [guess]: both chips read 5120 bytes per clock on paper, so the H100's figure by clock.
    .l2_bytes_per_s = 4.4 * kTera,
    .atomic_sectors_per_s = 50 * kGiga,  // [guess]
    .same_address_s = kSameAddressSeconds,
    .l2_latency_s = 185 * kNano,    // [hopper], about 260 cycles
    .dram_latency_s = 331 * kNano,  // [hopper], about 466 cycles
    .launch_s = kLaunchSeconds,
};

const DeviceModel kB200 = {
    .name = "b200",
    .info = {.num_sms = 148,                       // as the CUDA runtime reports it
             .compute_capability = 100,            // [guide]
             .max_threads_per_sm = 2048,           // [guide]
             .l2_bytes = mib(126),                 // Blackwell tuning guide
             .shared_bytes_per_block = kib(227)},  // [guide]
    .max_blocks_per_sm = 32,                       // [guide]
    .shared_bytes_per_sm = kib(228),               // [guide]
    .clock_hz = 1.965 * kGiga,                     // [guess]
    .dram_bytes_per_s = 8.0 * kTera,               // [sheet]; some boards report 7.7
    .l2_bytes_per_s = 6.9 * kTera,                 // [guess]
    .atomic_sectors_per_s = 94 * kGiga,            // [guess]
    .same_address_s = kSameAddressSeconds,
    .l2_latency_s = 150 * kNano,    // [guess]
    .dram_latency_s = 273 * kNano,  // [guess]
    .launch_s = kLaunchSeconds,
};

const DeviceModel kL4 = {
    .name = "l4",
    .info = {.num_sms = 58,                       // [sheet], 7424 cores of 128 per SM
             .compute_capability = 89,            // [guide]
             .max_threads_per_sm = 1536,          // [guide]
             .l2_bytes = mib(48),                 // [sheet]
             .shared_bytes_per_block = kib(99)},  // [guide]
    .max_blocks_per_sm = 24,                      // [guide]
    .shared_bytes_per_sm = kib(100),              // [guide]
    .clock_hz = 2.04 * kGiga,                     // [sheet], boost
    .dram_bytes_per_s = 0.3 * kTera,              // [sheet]
    .l2_bytes_per_s = 1.9 * kTera,                // [guess]
    .atomic_sectors_per_s = 26 * kGiga,           // [guess]
    .same_address_s = kSameAddressSeconds,
    .l2_latency_s = 134 * kNano,    // [hopper], 273 cycles of the RTX 4090
    .dram_latency_s = 265 * kNano,  // [hopper], about 541 cycles of the RTX 4090
    .launch_s = kLaunchSeconds,
};

}  // namespace

const std::vector<DeviceModel>& all_devices() {
  static const std::vector<DeviceModel> devices = {kH100, kA100, kB200, kL4};
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
