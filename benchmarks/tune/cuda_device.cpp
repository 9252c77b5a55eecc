// Times of the GPU that is current, by events.
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>

#include "tune/tuner.h"

namespace rowlane::bench {
namespace {

constexpr int kWarmUps = 3;
constexpr int kSamples = 15;

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
  }
}

void check(const kernels::Status& status) {
  if (!status.ok()) {
    throw std::runtime_error(status.message());
  }
}

struct FreeDevice {
  void operator()(void* p) const { cudaFree(p); }
};
using DeviceBytes = std::unique_ptr<void, FreeDevice>;

DeviceBytes device_bytes(std::int64_t bytes) {
  void* p = nullptr;
  check(cudaMalloc(&p, static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1))), "cudaMalloc");
  return DeviceBytes(p);
}

struct DestroyEvent {
  void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
};
using Event = std::unique_ptr<CUevent_st, DestroyEvent>;

Event make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  return Event(event);
}

// The median time of `call` with a cold L2.
template <typename Call>
double time_us(const Call& call) {
  int device = 0;
  int l2_bytes = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&l2_bytes, cudaDevAttrL2CacheSize, device),
        "cudaDeviceGetAttribute");
  const std::int64_t flush_bytes = std::int64_t{4} * l2_bytes;
  const DeviceBytes flush = device_bytes(flush_bytes);
  const Event begin = make_event();
  const Event end = make_event();
  std::array<float, kSamples> samples{};
  for (int i = -kWarmUps; i < kSamples; ++i) {
    check(cudaMemsetAsync(flush.get(), i & 0xff, static_cast<std::size_t>(flush_bytes), nullptr),
          "memset");
    check(cudaEventRecord(begin.get(), nullptr), "cudaEventRecord");
    check(call());
    check(cudaEventRecord(end.get(), nullptr), "cudaEventRecord");
    check(cudaEventSynchronize(end.get()), "the backward");
    if (i >= 0) {
      check(cudaEventElapsedTime(&samples[static_cast<std::size_t>(i)], begin.get(), end.get()),
            "cudaEventElapsedTime");
    }
  }
  std::nth_element(samples.begin(), samples.begin() + kSamples / 2, samples.end());
  return 1e3 * static_cast<double>(samples[kSamples / 2]);
}

double time_backward(const TuneProblem& problem, kernels::BackwardRequest request,
                     const kernels::Tuning& tuning) {
  const std::int64_t index_bytes = problem.num_indices() * 8;
  const std::int64_t grad_bytes = problem.num_indices() * problem.dim * 4;
  const DeviceBytes indices = device_bytes(index_bytes);
  const DeviceBytes grad_output = device_bytes(grad_bytes);
  const kernels::BackwardProblem sizes{.num_rows = problem.num_rows,
                                       .dim = problem.dim,
                                       .num_indices = problem.num_indices(),
                                       .source = {.grad_output = grad_output.get()}};
  kernels::BackwardPolicy policy;
  kernels::BackwardWorkspace plan;
  check(select_backward_policy(sizes, request, &policy, tuning));
  check(plan_backward_workspace(sizes, policy, &plan));
  const DeviceBytes grad_table = device_bytes(problem.num_rows * problem.dim * 4);
  const DeviceBytes workspace = device_bytes(plan.total_bytes);
  check(cudaMemcpy(indices.get(), problem.indices.data(), static_cast<std::size_t>(index_bytes),
                   cudaMemcpyHostToDevice),
        "cudaMemcpy");
  check(cudaMemset(grad_output.get(), 0, static_cast<std::size_t>(grad_bytes)), "cudaMemset");
  return time_us([&] {
    return kernels::backward({.problem = sizes,
                              .indices = indices.get(),
                              .rows_out = grad_table.get(),
                              .workspace = workspace.get()},
                             policy, nullptr);
  });
}

}  // namespace

TuneDevice open_device(const std::string& /*model*/) {
  int device = 0;
  cudaDeviceProp properties{};
  check(cudaGetDevice(&device), "no GPU");
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  return {.name = properties.name, .time = &time_backward};
}

}  // namespace rowlane::bench
