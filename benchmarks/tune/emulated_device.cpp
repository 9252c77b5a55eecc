// Times of the emulated device: a model.
#include <algorithm>
#include <stdexcept>
#include <thread>

#include "cuda/simt/emulated/options.h"
#include "traffic/traffic.h"
#include "tune/tuner.h"

namespace rowlane::bench {

TuneDevice open_device(const std::string& model) {
  const simt::emulated::DeviceModel* const device = simt::emulated::find_device(model);
  if (device == nullptr) {
    std::string known;
    for (const simt::emulated::DeviceModel& other : simt::emulated::all_devices()) {
      known += std::string(known.empty() ? "" : ", ") + std::string(other.name);
    }
    throw std::invalid_argument("there is no model of '" + model + "', only of " + known);
  }
  const auto time = [device](const TuneProblem& problem, kernels::BackwardRequest request,
                             const kernels::Tuning& tuning) {
    const simt::emulated::ScopedOptions scoped;
    scoped->device = device;
    scoped->host_threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    const TrafficProblem traffic{
        .num_rows = problem.num_rows, .dim = problem.dim, .indices = problem.indices};
    return TrafficMeter(traffic).backward(request, tuning).modelled_us;
  };
  return {.name = std::string(device->name), .time = time};
}

}  // namespace rowlane::bench
