// Launcher and instantiations of the row gather.
#include <algorithm>

#include "cuda/dispatch.cuh"
#include "cuda/gather.h"
#include "cuda/gather_kernel.cuh"

namespace rowlane::kernels {
namespace {

// Blocks per SM that a launch should have before a row is worth splitting.
constexpr std::int64_t kMinBlocksPerSm = 2;
constexpr std::int64_t kMaxSlices = 64;

template <int kVecBytes, typename IndexT>
Status launch_gather(const GatherArgs& args, const GatherPolicy& policy, Stream stream) {
  using Chunk = simt::Bytes<kVecBytes>;
  const std::int64_t chunks_per_row = args.row_bytes / kVecBytes;
  return simt::launch(gather_kernel<kVecBytes, IndexT>,
                      {.name = "gather_kernel",
                       .grid_x = policy.blocks,
                       .grid_y = policy.slices,
                       .block_threads = kBlockThreads,
                       .stream = stream},
                      GatherKernelArgs<kVecBytes, IndexT>{
                          .table = static_cast<const Chunk*>(args.table),
                          .indices = static_cast<const IndexT*>(args.indices),
                          .out = static_cast<Chunk*>(args.out),
                          .num_rows = args.num_rows,
                          .num_indices = args.num_indices,
                          .chunks_per_row = chunks_per_row,
                          .table_stride = args.table_stride_bytes / kVecBytes,
                          .chunks_per_slice = ceil_div(chunks_per_row, policy.slices),
                          .lanes_log2 = policy.lanes_log2,
                          .report = args.report});
}

}  // namespace

GatherPolicy select_gather_policy(std::int64_t num_indices, std::int64_t row_bytes,
                                  std::uint64_t address_bits, const DeviceInfo& device) {
  GatherPolicy policy;
  policy.vec_bytes = access_bytes(address_bits | static_cast<std::uint64_t>(row_bytes));
  const std::int64_t chunks_per_row = row_bytes / policy.vec_bytes;
  policy.lanes_log2 = lanes_log2(chunks_per_row);
  const std::int64_t groups_per_block = kBlockThreads >> policy.lanes_log2;
  const std::int64_t rows_per_block = groups_per_block * kGatherRowsInFlight;
  policy.blocks = ceil_div(num_indices, rows_per_block);
  const std::int64_t wanted =
      ceil_div(kMinBlocksPerSm * device.num_sms, std::max<std::int64_t>(policy.blocks, 1));
  const std::int64_t possible = ceil_div(chunks_per_row, std::int64_t{1} << policy.lanes_log2);
  policy.slices = std::clamp<std::int64_t>(std::min(wanted, possible), 1, kMaxSlices);
  return policy;
}

Status gather(const GatherArgs& args, Stream stream) {
  if (args.num_indices == 0 || args.row_bytes == 0) {
    return {};
  }
  DeviceInfo device;
  ROWLANE_RETURN_IF_ERROR(simt::device_info(&device));
  const GatherPolicy policy = select_gather_policy(
      args.num_indices, args.row_bytes,
      address(args.table) | address(args.out) | static_cast<std::uint64_t>(args.table_stride_bytes),
      device);
  return dispatch_vec_bytes(policy.vec_bytes, [&]<int kVecBytes>() {
    return dispatch_index(args.index_type, [&]<typename IndexT>() {
      return launch_gather<kVecBytes, IndexT>(args, policy, stream);
    });
  });
}

}  // namespace rowlane::kernels
