// Launcher and instantiations of the step of rows.
#include "cuda/dispatch.cuh"
#include "cuda/row_step.h"
#include "cuda/row_step_kernel.cuh"

namespace rowlane::kernels {
namespace {

template <typename ElemT, int kElems>
Status launch_row_step(const RowStepArgs& args, Stream stream) {
  const std::int64_t dim = args.step.target.dim;
  const int log2 = lanes_log2(dim / kElems);
  return simt::launch(row_step_kernel<ElemT, kElems>,
                      {.name = "row_step_kernel",
                       .grid_x = ceil_div(args.max_slots, kBlockThreads >> log2),
                       .block_threads = kBlockThreads,
                       .stream = stream},
                      RowStepKernelArgs<ElemT>{.step = make_step_args<ElemT>(args.step),
                                               .rows = args.rows,
                                               .values = static_cast<const ElemT*>(args.values),
                                               .num_slots = args.num_slots,
                                               .max_slots = args.max_slots,
                                               .report = args.report,
                                               .lanes_log2 = log2});
}

}  // namespace

std::uint64_t step_address_bits(const RowStep& step) {
  const StepTarget& target = step.target;
  std::uint64_t bits = address(target.weight);
  // Wider than the table's: half of the address says as much of twice the access.
  const std::int64_t ratio = accum_bytes(target.elem_type) / elem_bytes(target.elem_type);
  const auto wide_bits = [&](const void* p) {
    return address(p) / static_cast<std::uint64_t>(ratio);
  };
  for (int s = 0; s < num_element_states(step); ++s) {
    const void* const state = target.states[static_cast<std::size_t>(s)];
    bits |= target.states_are_float ? wide_bits(state) : address(state);
  }
  return bits | wide_bits(target.master);
}

Status row_step(const RowStepArgs& args, Stream stream) {
  const StepTarget& target = args.step.target;
  if (args.max_slots == 0 || target.num_rows == 0 || target.dim == 0) {
    return {};
  }
  return dispatch_elem(target.elem_type, [&]<typename ElemT>() {
    const int vec_bytes =
        access_bytes(address(args.values) | step_address_bits(args.step) |
                     static_cast<std::uint64_t>(target.dim * std::int64_t{sizeof(ElemT)}));
    return dispatch_vec_bytes<sizeof(ElemT)>(vec_bytes, [&]<int kVecBytes>() {
      return launch_row_step<ElemT, kVecBytes / int{sizeof(ElemT)}>(args, stream);
    });
  });
}

}  // namespace rowlane::kernels
