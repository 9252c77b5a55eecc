// Launcher and instantiations of the pair sort; the only file that compiles the sort itself.
#include <algorithm>
#include <bit>
#include <limits>

#include "cuda/dispatch.cuh"
#include "cuda/radix_sort_kernel.cuh"
#include "cuda/simt/sort.cuh"
#include "cuda/sort_pairs.h"
#include "cuda/sort_pairs_kernel.cuh"
#include "cuda/workspace.h"

namespace rowlane::kernels {
namespace {

template <typename KeyT>
Status sort_by_library(const SortPairsArgs& args, Stream stream) {
  auto* const spare_keys = static_cast<KeyT*>(args.spare_keys);
  auto* const spare_positions = static_cast<KeyT*>(args.spare_positions);
  ROWLANE_RETURN_IF_ERROR(dispatch_index(args.index_type, [&]<typename IndexT>() {
    return simt::launch(
        make_pairs_kernel<IndexT, KeyT>,
        {.name = "make_pairs_kernel",
         .grid_x = ceil_div(args.num_indices, kBlockThreads),
         .block_threads = kBlockThreads,
         .stream = stream},
        MakePairsKernelArgs<IndexT, KeyT>{.indices = static_cast<const IndexT*>(args.indices),
                                          .keys = spare_keys,
                                          .positions = spare_positions,
                                          .num_indices = args.num_indices,
                                          .num_rows = args.num_rows,
                                          .padding_row = args.padding_row,
                                          .report = args.report});
  }));
  return simt::sort_pairs<KeyT, KeyT>(
      args.temp, args.temp_bytes, spare_keys, static_cast<KeyT*>(args.keys), spare_positions,
      static_cast<KeyT*>(args.positions), args.num_indices, args.format.key_bits, stream);
}

template <typename IndexT>
IndexPairs<IndexT> index_pairs(const SortPairsArgs& args) {
  return {.indices = static_cast<const IndexT*>(args.indices),
          .num_rows = args.num_rows,
          .padding_row = args.padding_row,
          .report = args.report};
}

Status sort_in_block(const SortPairsArgs& args, Stream stream) {
  return dispatch_index(args.index_type, [&]<typename IndexT>() {
    const auto launch = [&]<int kItems>() {
      return simt::launch(
          sort_block_kernel<IndexT, kItems>,
          {.name = "sort_block_kernel", .block_threads = kBlockThreads, .stream = stream},
          SortBlockKernelArgs<IndexT>{.pairs = index_pairs<IndexT>(args),
                                      .keys = static_cast<std::uint32_t*>(args.keys),
                                      .positions = static_cast<std::uint32_t*>(args.positions),
                                      .num_items = static_cast<int>(args.num_indices),
                                      .key_bits = args.format.key_bits});
    };
    constexpr int kMost = static_cast<int>(kMaxBlockSort / kBlockThreads);
    return args.num_indices <= std::int64_t{4} * kBlockThreads
               ? launch.template operator()<4>()
               : launch.template operator()<kMost>();
  });
}

// The last pass has the widest digit.
Digit digit_of_pass(PairFormat format, int pass) {
  const int low = format.key_bits * pass / format.passes;
  return {.shift = low,
          .bits = std::max(kMinDigitBits, format.key_bits * (pass + 1) / format.passes - low)};
}

int items_per_thread(std::int64_t num_indices) {
  for (const int items : {2, 4}) {
    if (num_indices <= kManySortTiles * items * kBlockThreads) {
      return items;
    }
  }
  return 8;
}

std::int64_t num_tiles(std::int64_t num_indices) {
  return ceil_div(num_indices, std::int64_t{kBlockThreads} * items_per_thread(num_indices));
}

// Few passes have few launches, many passes have short digits and so few counts.
int select_passes(int key_bits, std::int64_t num_indices) {
  const std::int64_t tiles = num_tiles(num_indices);
  const auto cost_bytes = [&](int passes) {
    const int digit_bits = (key_bits + passes - 1) / passes;
    return passes *
           (kSortPassBytes + num_indices * kSortPairBytes + (tiles * tiles * 4 << digit_bits));
  };
  int best = (key_bits + kMaxDigitBits - 1) / kMaxDigitBits;
  while (cost_bytes(best + 1) < cost_bytes(best)) {
    ++best;
  }
  return best;
}

// `counted` and `moved` are the same pairs.
template <typename Pairs>
Status sort_digit(const SortPairsArgs& args, const Pairs& counted, const Pairs& moved, Digit digit,
                  void* keys, void* positions, Stream stream) {
  const int items = items_per_thread(args.num_indices);
  const std::int64_t tiles = num_tiles(args.num_indices);
  auto* const counts = static_cast<std::int32_t*>(args.temp);
  ROWLANE_RETURN_IF_ERROR(
      simt::launch(count_digits_kernel<Pairs>,
                   {.name = "count_digits_kernel",
                    .grid_x = tiles,
                    .block_threads = kBlockThreads,
                    .stream = stream},
                   CountDigitsKernelArgs<Pairs>{.pairs = counted,
                                                .counts = counts,
                                                .num_items = args.num_indices,
                                                .tile_items = items * kBlockThreads,
                                                .digit = digit}));
  const auto launch = [&]<int kItems>() {
    return simt::launch(
        scatter_pairs_kernel<Pairs, kItems>,
        {.name = "scatter_pairs_kernel",
         .grid_x = tiles,
         .block_threads = kBlockThreads,
         .dynamic_shared_bytes = std::int64_t{(2 + kSortWarps) * 4} << digit.bits,
         .stream = stream},
        ScatterPairsKernelArgs<Pairs>{.pairs = moved,
                                      .counts = counts,
                                      .keys = static_cast<std::uint32_t*>(keys),
                                      .positions = static_cast<std::uint32_t*>(positions),
                                      .num_items = args.num_indices,
                                      .num_tiles = tiles,
                                      .digit = digit});
  };
  switch (items) {
    case 2:
      return launch.template operator()<2>();
    case 4:
      return launch.template operator()<4>();
    case 8:
      return launch.template operator()<8>();
    default:
      return Status::error("a tile of a sort has 2, 4 or 8 items per thread");
  }
}

Status sort_by_tiles(const SortPairsArgs& args, Stream stream) {
  const int passes = args.format.passes;
  for (int pass = 0; pass < passes; ++pass) {
    const Digit digit = digit_of_pass(args.format, pass);
    // The last pass ends in the output, and each one reads what the one before has written.
    const bool to_spare = (passes - pass) % 2 == 0;
    void* const keys = to_spare ? args.spare_keys : args.keys;
    void* const positions = to_spare ? args.spare_positions : args.positions;
    if (pass == 0) {
      ROWLANE_RETURN_IF_ERROR(dispatch_index(args.index_type, [&]<typename IndexT>() {
        const auto reporting = index_pairs<IndexT>(args);
        auto silent = reporting;
        silent.report = nullptr;
        return sort_digit(args, reporting, silent, digit, keys, positions, stream);
      }));
    } else {
      const StoredPairs pairs{
          .keys = static_cast<const std::uint32_t*>(to_spare ? args.keys : args.spare_keys),
          .positions =
              static_cast<const std::uint32_t*>(to_spare ? args.positions : args.spare_positions)};
      ROWLANE_RETURN_IF_ERROR(sort_digit(args, pairs, pairs, digit, keys, positions, stream));
    }
  }
  return {};
}

}  // namespace

PairFormat select_pair_format(std::int64_t num_rows, std::int64_t num_indices,
                              const Tuning& tuning) {
  // One more than the largest key is a number that kernels compare with.
  constexpr std::int64_t kLimit = std::numeric_limits<std::uint32_t>::max();
  PairFormat format{.wide = num_rows >= kLimit || num_indices > kLimit,
                    .key_bits = std::max(
                        1, static_cast<int>(std::bit_width(static_cast<std::uint64_t>(num_rows))))};
  if (format.wide) {
    return format;
  }
  format.passes = select_passes(format.key_bits, num_indices);
  if (num_indices <= tuning.tile_sort_max_indices) {
    format.method = num_indices <= kMaxBlockSort ? SortMethod::kBlock : SortMethod::kTiles;
  }
  return format;
}

bool sort_needs_spare(PairFormat format) {
  return format.method == SortMethod::kLibrary ||
         (format.method == SortMethod::kTiles && format.passes > 1);
}

Status sort_pairs_temp_bytes(std::int64_t num_indices, PairFormat format, std::int64_t* bytes) {
  switch (format.method) {
    case SortMethod::kBlock:
      *bytes = 0;
      return {};
    case SortMethod::kTiles:
      *bytes = num_tiles(num_indices) * 4 << digit_of_pass(format, format.passes - 1).bits;
      return {};
    case SortMethod::kLibrary:
      return format.wide ? simt::sort_pairs_bytes<std::uint64_t, std::uint64_t>(
                               num_indices, format.key_bits, bytes)
                         : simt::sort_pairs_bytes<std::uint32_t, std::uint32_t>(
                               num_indices, format.key_bits, bytes);
  }
  return Status::error("unknown method of a sort");
}

Status plan_sort_workspace(std::int64_t num_indices, PairFormat format, SortWorkspace* workspace) {
  *workspace = {};
  WorkspaceLayout layout;
  const std::int64_t list_bytes = num_indices * format.value_bytes();
  const std::int64_t spare_bytes = sort_needs_spare(format) ? list_bytes : 0;
  workspace->spare_keys = layout.take(spare_bytes);
  workspace->spare_positions = layout.take(spare_bytes);
  workspace->keys = layout.take(list_bytes);
  workspace->positions = layout.take(list_bytes);
  ROWLANE_RETURN_IF_ERROR(sort_pairs_temp_bytes(num_indices, format, &workspace->temp_bytes));
  workspace->temp = layout.take(workspace->temp_bytes);
  workspace->total_bytes = layout.total_bytes();
  return {};
}

void place_in_workspace(const SortWorkspace& plan, void* workspace, SortPairsArgs* args) {
  auto* const base = static_cast<char*>(workspace);
  args->spare_keys = base + plan.spare_keys;
  args->spare_positions = base + plan.spare_positions;
  args->keys = base + plan.keys;
  args->positions = base + plan.positions;
  args->temp = base + plan.temp;
  args->temp_bytes = plan.temp_bytes;
}

Status sort_pairs(const SortPairsArgs& args, Stream stream) {
  if (args.num_indices == 0) {
    return {};
  }
  switch (args.format.method) {
    case SortMethod::kBlock:
      return sort_in_block(args, stream);
    case SortMethod::kTiles:
      return sort_by_tiles(args, stream);
    case SortMethod::kLibrary:
      return args.format.wide ? sort_by_library<std::uint64_t>(args, stream)
                              : sort_by_library<std::uint32_t>(args, stream);
  }
  return Status::error("unknown method of a sort");
}

}  // namespace rowlane::kernels
