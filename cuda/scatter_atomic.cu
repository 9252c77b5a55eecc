// Launcher and instantiations of the atomic scatter.
#include "cuda/dispatch.cuh"
#include "cuda/scatter_atomic.h"
#include "cuda/scatter_atomic_kernel.cuh"

namespace rowlane::kernels {
namespace {

template <typename ElemT, int kElems, typename IndexT>
Status launch_scatter_atomic(const ScatterAtomicArgs& args, Stream stream) {
  const int log2 = lanes_log2(args.dim / kElems);
  return simt::launch(scatter_atomic_kernel<ElemT, kElems, IndexT>,
                      {.name = "scatter_atomic_kernel",
                       .grid_x = ceil_div(args.num_indices, kBlockThreads >> log2),
                       .block_threads = kBlockThreads,
                       .stream = stream},
                      ScatterAtomicKernelArgs<ElemT, IndexT>{
                          .grad_output = static_cast<const ElemT*>(args.source.grad_output),
                          .indices = static_cast<const IndexT*>(args.indices),
                          .grad_table = static_cast<ElemT*>(args.grad_table),
                          .num_rows = args.num_rows,
                          .dim = args.dim,
                          .grad_row_stride = args.source.row_stride,
                          .num_indices = args.num_indices,
                          .padding_row = args.padding_row,
                          .lanes_log2 = log2,
                          .report = args.report});
}

template <typename ElemT>
Status scatter_atomic_as(const ScatterAtomicArgs& args, Stream stream) {
  const std::int64_t strides = (args.dim | args.source.row_stride) * std::int64_t{sizeof(ElemT)};
  const int vec_bytes = access_bytes(address(args.source.grad_output) | address(args.grad_table) |
                                     static_cast<std::uint64_t>(strides));
  return dispatch_vec_bytes<sizeof(ElemT)>(vec_bytes, [&]<int kVecBytes>() {
    return dispatch_index(args.index_type, [&]<typename IndexT>() {
      return launch_scatter_atomic<ElemT, kVecBytes / int{sizeof(ElemT)}, IndexT>(args, stream);
    });
  });
}

}  // namespace

Status scatter_atomic(const ScatterAtomicArgs& args, Stream stream) {
  if (args.num_indices == 0 || args.dim == 0) {
    return {};
  }
  switch (args.elem_type) {
    case ElemType::kFloat32:
      return scatter_atomic_as<float>(args, stream);
    case ElemType::kFloat64:
      return scatter_atomic_as<double>(args, stream);
    case ElemType::kFloat16:
    case ElemType::kBFloat16:
      break;
  }
  return Status::error("the atomic scatter takes float32 and float64 gradients only");
}

}  // namespace rowlane::kernels
