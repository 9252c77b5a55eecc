// Launcher and instantiations of the row gather.
#include <algorithm>
#include <bit>

#include "cuda/dispatch.cuh"
#include "cuda/gather.h"
#include "cuda/gather_kernel.cuh"

namespace rowlane::kernels {
namespace {

// Blocks per SM that a launch should have before a row is worth splitting.
constexpr std::int64_t kMinBlocksPerSm = 2;
constexpr std::int64_t kMaxSlices = 64;
// Threads of a row that is staged: a block.
constexpr int kMaxLanesLog2 = std::countr_zero(static_cast<unsigned>(kBlockThreads));
constexpr std::int64_t kSectorBytes = 32;

constexpr std::int64_t rows_per_block(int lanes_log2) {
  return std::int64_t{kBlockThreads >> lanes_log2} * kGatherRowsInFlight;
}

template <int kVecBytes, bool kIsStaged, bool kIsStrided, typename IndexT>
Status launch_gather(const GatherArgs& args, const GatherPolicy& policy, Stream stream) {
  using Chunk = simt::Bytes<kVecBytes>;
  const std::int64_t chunks_per_row = args.row_bytes / kVecBytes;
  return simt::launch(
      kIsStrided ? gather_strided_kernel<kVecBytes, IndexT>
                 : gather_kernel<kVecBytes, kIsStaged, IndexT>,
      {.name = kIsStrided ? "gather_strided_kernel" : "gather_kernel",
       .grid_x = policy.blocks,
       .grid_y = policy.slices,
       .block_threads = kBlockThreads,
       .dynamic_shared_bytes = kIsStaged ? rows_per_block(policy.lanes_log2) * args.row_bytes : 0,
       .stream = stream},
      GatherKernelArgs<kVecBytes, IndexT>{
          .table = static_cast<const Chunk*>(args.table),
          .indices = static_cast<const IndexT*>(args.indices),
          .out = static_cast<Chunk*>(args.out),
          .num_rows = args.num_rows,
          .num_indices = args.num_indices,
          .chunks_per_row = chunks_per_row,
          .table_stride = args.table_stride_bytes / kVecBytes,
          .chunk_stride = args.elem_stride_bytes / kVecBytes,
          .chunks_per_slice = ceil_div(chunks_per_row, policy.slices),
          .lanes_log2 = policy.lanes_log2,
          .streams_out = policy.streams_out,
          .keeps_table = policy.keeps_table,
          .report = args.report});
}

}  // namespace

GatherPolicy select_gather_policy(const GatherProblem& problem, const DeviceInfo& device) {
  const auto row_bits = static_cast<std::uint64_t>(problem.row_bytes);
  const auto chunks_of = [&](int vec_bytes) { return problem.row_bytes / vec_bytes; };
  const auto blocks_of = [&](int log2) {
    return ceil_div(problem.num_indices, rows_per_block(log2));
  };
  const std::int64_t wanted_blocks = kMinBlocksPerSm * device.num_sms;

  GatherPolicy policy;
  policy.vec_bytes = access_bytes(problem.table_bits | problem.out_bits | row_bits);
  policy.lanes_log2 = lanes_log2(chunks_of(policy.vec_bytes));
  // Groups that are full store neighbouring rows without a gap.
  const bool has_full_groups = chunks_of(policy.vec_bytes) == std::int64_t{1} << policy.lanes_log2;
  const bool starts_on_sector = problem.out_bits % kSectorBytes == 0;
  bool stores_sectors =
      starts_on_sector && (problem.row_bytes % kSectorBytes == 0 || has_full_groups);

  if (starts_on_sector && !stores_sectors) {
    // Stores take 16 bytes wherever the table is aligned to.
    const int vec_bytes = access_bytes(problem.table_bits | row_bits);
    const auto tile_bytes = [&](int log2) { return rows_per_block(log2) * problem.row_bytes; };
    int log2 = lanes_log2(chunks_of(vec_bytes));
    while (tile_bytes(log2) > kMaxGatherTileBytes ||
           (blocks_of(log2) < wanted_blocks && (1 << log2) < chunks_of(vec_bytes))) {
      if (log2 == kMaxLanesLog2 || tile_bytes(log2 + 1) % kSectorBytes != 0) {
        break;
      }
      ++log2;
    }
    policy.is_staged =
        tile_bytes(log2) <= kMaxGatherTileBytes && tile_bytes(log2) % kSectorBytes == 0;
    if (policy.is_staged) {
      policy.vec_bytes = vec_bytes;
      policy.lanes_log2 = log2;
      stores_sectors = true;
    }
  }

  policy.blocks = blocks_of(policy.lanes_log2);
  if (!policy.is_staged) {
    const std::int64_t wanted = ceil_div(wanted_blocks, std::max<std::int64_t>(policy.blocks, 1));
    const std::int64_t possible =
        ceil_div(chunks_of(policy.vec_bytes), std::int64_t{1} << policy.lanes_log2);
    policy.slices = std::clamp<std::int64_t>(std::min(wanted, possible), 1, kMaxSlices);
  }
  // Half a sector that leaves the cache before its other half comes costs a read and a write more.
  // An output that fits in the cache is left there for whoever reads it next.
  policy.streams_out = stores_sectors && problem.num_indices * problem.row_bytes > device.l2_bytes;
  policy.keeps_table =
      policy.streams_out && problem.num_rows * problem.row_bytes <= device.l2_bytes;
  return policy;
}

Status gather(const GatherArgs& args, Stream stream) {
  if (args.num_indices == 0 || args.row_bytes == 0) {
    return {};
  }
  DeviceInfo device;
  ROWLANE_RETURN_IF_ERROR(simt::device_info(&device));
  const bool is_strided = args.elem_bytes != 0;
  const GatherPolicy policy = select_gather_policy(
      {.num_rows = args.num_rows,
       .num_indices = args.num_indices,
       .row_bytes = args.row_bytes,
       .table_bits = address(args.table) | static_cast<std::uint64_t>(args.table_stride_bytes),
       // Elements that are loaded one by one are stored so.
       .out_bits = is_strided ? static_cast<std::uint64_t>(args.elem_bytes) : address(args.out)},
      device);
  if (is_strided && policy.vec_bytes != args.elem_bytes) {
    return Status::error("elements are not aligned to their size");
  }
  return dispatch_vec_bytes(policy.vec_bytes, [&]<int kVecBytes>() {
    return dispatch_index(args.index_type, [&]<typename IndexT>() {
      if (is_strided) {
        return launch_gather<kVecBytes, false, true, IndexT>(args, policy, stream);
      }
      if (policy.is_staged) {
        return launch_gather<kVecBytes, true, false, IndexT>(args, policy, stream);
      }
      return launch_gather<kVecBytes, false, false, IndexT>(args, policy, stream);
    });
  });
}

}  // namespace rowlane::kernels
