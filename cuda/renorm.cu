// Launcher and instantiations of the renorm.
#include <cmath>

#include "cuda/dispatch.cuh"
#include "cuda/renorm.h"
#include "cuda/renorm_kernel.cuh"
#include "cuda/sort_pairs.h"

namespace rowlane::kernels {
namespace {

NormKind norm_kind(double norm_type) {
  if (norm_type == 1) {
    return NormKind::kSum;
  }
  if (norm_type == 2) {
    return NormKind::kEuclidean;
  }
  return std::isinf(norm_type) ? NormKind::kLargest : NormKind::kAnyPower;
}

template <typename ElemT, int kElems, typename KeyT>
Status launch_renorm(const RenormArgs& args, const void* keys, Stream stream) {
  using AccumT = simt::Accum<ElemT>;
  const int log2 = lanes_log2(args.dim / kElems);
  return simt::launch(
      renorm_kernel<ElemT, kElems, KeyT>,
      {.name = "renorm_kernel",
       .grid_x = ceil_div(args.num_indices, kBlockThreads >> log2),
       .block_threads = kBlockThreads,
       .stream = stream},
      RenormKernelArgs<ElemT, KeyT>{.keys = static_cast<const KeyT*>(keys),
                                    .table = static_cast<ElemT*>(args.table),
                                    .num_indices = args.num_indices,
                                    .num_rows = args.num_rows,
                                    .dim = args.dim,
                                    .row_stride = args.row_stride,
                                    .column_stride = args.column_stride,
                                    .max_norm = static_cast<AccumT>(args.max_norm),
                                    .norm_type = static_cast<AccumT>(args.norm_type),
                                    .kind = norm_kind(args.norm_type),
                                    .lanes_log2 = log2});
}

}  // namespace

Status renorm_workspace_bytes(std::int64_t num_rows, std::int64_t num_indices,
                              std::int64_t* bytes) {
  SortWorkspace plan;
  ROWLANE_RETURN_IF_ERROR(
      plan_sort_workspace(num_indices, select_pair_format(num_rows, num_indices), &plan));
  *bytes = plan.total_bytes;
  return {};
}

Status renorm(const RenormArgs& args, Stream stream) {
  if (args.num_indices == 0 || args.num_rows == 0 || args.dim == 0) {
    return {};
  }
  SortPairsArgs sort{.indices = args.indices,
                     .index_type = args.index_type,
                     .num_indices = args.num_indices,
                     .num_rows = args.num_rows,
                     .format = select_pair_format(args.num_rows, args.num_indices),
                     .report = args.report};
  SortWorkspace plan;
  ROWLANE_RETURN_IF_ERROR(plan_sort_workspace(args.num_indices, sort.format, &plan));
  place_in_workspace(plan, args.workspace, &sort);
  ROWLANE_RETURN_IF_ERROR(sort_pairs(sort, stream));
  return dispatch_elem(args.elem_type, [&]<typename ElemT>() {
    // Pairs of 64 bits are for more than four billion indices or rows; they take one element at a
    // time, and so do rows whose elements don't lie next to each other.
    if (sort.format.wide) {
      return launch_renorm<ElemT, 1, std::uint64_t>(args, sort.keys, stream);
    }
    if (args.column_stride != 1) {
      return launch_renorm<ElemT, 1, std::uint32_t>(args, sort.keys, stream);
    }
    const int vec_bytes =
        access_bytes(address(args.table) | static_cast<std::uint64_t>((args.dim | args.row_stride) *
                                                                      std::int64_t{sizeof(ElemT)}));
    return dispatch_vec_bytes<sizeof(ElemT)>(vec_bytes, [&]<int kVecBytes>() {
      return launch_renorm<ElemT, kVecBytes / int{sizeof(ElemT)}, std::uint32_t>(args, sort.keys,
                                                                                 stream);
    });
  });
}

}  // namespace rowlane::kernels
