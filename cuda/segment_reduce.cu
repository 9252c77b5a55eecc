// Launcher and instantiations of the segment reduce.
#include "cuda/dispatch.cuh"
#include "cuda/segment_reduce.h"
#include "cuda/segment_reduce_kernel.cuh"

namespace rowlane::kernels {
namespace {

template <typename ElemT, typename KeyT>
Status segment_reduce_as(const SegmentReduceArgs& args, Stream stream) {
  const SegmentReduceKernelArgs<ElemT, KeyT> kernel_args{
      .keys = static_cast<const KeyT*>(args.keys),
      .positions = static_cast<const KeyT*>(args.positions),
      .grad_output = static_cast<const ElemT*>(args.grad_output),
      .grad_table = static_cast<ElemT*>(args.grad_table),
      .partials = static_cast<simt::Accum<ElemT>*>(args.partials),
      .num_indices = args.num_indices,
      .num_rows = args.num_rows,
      .dim = args.dim};
  const std::int64_t num_tiles = ceil_div(args.num_indices, kSegmentTile);
  const int vec_bytes =
      access_bytes(address(args.grad_output) | address(args.grad_table) |
                   static_cast<std::uint64_t>(args.dim * std::int64_t{sizeof(ElemT)}));
  ROWLANE_RETURN_IF_ERROR(dispatch_vec_bytes<sizeof(ElemT)>(vec_bytes, [&]<int kVecBytes>() {
    return simt::launch(segment_reduce_kernel<ElemT, kVecBytes / int{sizeof(ElemT)}, KeyT>,
                        {.name = "segment_reduce_kernel",
                         .grid_x = num_tiles,
                         .block_threads = kBlockThreads,
                         .stream = stream},
                        kernel_args);
  }));
  if (num_tiles == 1) {
    return {};
  }
  return simt::launch(segment_combine_kernel<ElemT, KeyT>,
                      {.name = "segment_combine_kernel",
                       .grid_x = ceil_div(num_tiles - 1, kSegmentWarps),
                       .block_threads = kBlockThreads,
                       .stream = stream},
                      kernel_args);
}

}  // namespace

std::int64_t segment_partials_bytes(std::int64_t num_indices, std::int64_t dim, ElemType type) {
  return ceil_div(num_indices, kSegmentTile) * 2 * dim * accum_bytes(type);
}

Status segment_reduce(const SegmentReduceArgs& args, Stream stream) {
  if (args.num_indices == 0 || args.dim == 0) {
    return {};
  }
  return dispatch_elem(args.elem_type, [&]<typename ElemT>() {
    return args.wide_pairs ? segment_reduce_as<ElemT, std::uint64_t>(args, stream)
                           : segment_reduce_as<ElemT, std::uint32_t>(args, stream);
  });
}

}  // namespace rowlane::kernels
