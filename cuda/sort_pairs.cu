// Launcher and instantiations of the pair sort; the only file that compiles the sort itself.
#include <bit>
#include <limits>

#include "cuda/dispatch.cuh"
#include "cuda/simt/sort.cuh"
#include "cuda/sort_pairs.h"
#include "cuda/sort_pairs_kernel.cuh"

namespace rowlane::kernels {
namespace {

template <typename KeyT>
Status sort_pairs_as(const SortPairsArgs& args, Stream stream) {
  auto* const unsorted_keys = static_cast<KeyT*>(args.unsorted_keys);
  auto* const unsorted_positions = static_cast<KeyT*>(args.unsorted_positions);
  ROWLANE_RETURN_IF_ERROR(dispatch_index(args.index_type, [&]<typename IndexT>() {
    return simt::launch(
        make_pairs_kernel<IndexT, KeyT>,
        {.name = "make_pairs_kernel",
         .grid_x = ceil_div(args.num_indices, kBlockThreads),
         .block_threads = kBlockThreads,
         .stream = stream},
        MakePairsKernelArgs<IndexT, KeyT>{.indices = static_cast<const IndexT*>(args.indices),
                                          .keys = unsorted_keys,
                                          .positions = unsorted_positions,
                                          .num_indices = args.num_indices,
                                          .num_rows = args.num_rows,
                                          .padding_row = args.padding_row});
  }));
  return simt::sort_pairs<KeyT, KeyT>(
      args.temp, args.temp_bytes, unsorted_keys, static_cast<KeyT*>(args.keys), unsorted_positions,
      static_cast<KeyT*>(args.positions), args.num_indices, args.format.key_bits, stream);
}

}  // namespace

PairFormat select_pair_format(std::int64_t num_rows, std::int64_t num_indices) {
  // One more than the largest key is a number that kernels compare with.
  constexpr std::int64_t kLimit = std::numeric_limits<std::uint32_t>::max();
  return {.wide = num_rows >= kLimit || num_indices > kLimit,
          .key_bits =
              std::max(1, static_cast<int>(std::bit_width(static_cast<std::uint64_t>(num_rows))))};
}

Status sort_pairs_temp_bytes(std::int64_t num_indices, PairFormat format, std::int64_t* bytes) {
  return format.wide ? simt::sort_pairs_bytes<std::uint64_t, std::uint64_t>(num_indices,
                                                                            format.key_bits, bytes)
                     : simt::sort_pairs_bytes<std::uint32_t, std::uint32_t>(num_indices,
                                                                            format.key_bits, bytes);
}

Status sort_pairs(const SortPairsArgs& args, Stream stream) {
  if (args.num_indices == 0) {
    return {};
  }
  return args.format.wide ? sort_pairs_as<std::uint64_t>(args, stream)
                          : sort_pairs_as<std::uint32_t>(args, stream);
}

}  // namespace rowlane::kernels
