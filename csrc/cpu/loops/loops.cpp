// Compiled once for each instruction set, as ROWLANE_ISA (csrc/CMakeLists.txt).
#include "csrc/cpu/loops/loops.h"

#include <cstdint>

#include "csrc/cpu/loops/gather.h"
#include "csrc/cpu/loops/lanes.h"
#include "csrc/cpu/loops/scatter.h"
#include "csrc/cpu/loops/share_summer.h"
#include "csrc/cpu/loops/store_sink.h"

namespace rowlane::cpu::ROWLANE_ISA {
namespace {

template <typename ElemT, typename Entry>
void sum_share(const SumArgs<Entry>& args, SumShare& share) {
  StoreSink<ElemT, Entry> sink(args, share);
  ShareSummer<ElemT, Entry, StoreSink<ElemT, Entry>>(
      args, static_cast<AccumOf<ElemT>*>(share.scratch), sink,
      prefetch_rows_ahead(args.target.dim * static_cast<std::int64_t>(sizeof(ElemT))))
      .sum(share);
  sink.end();
}

template <typename ElemT>
void finish_long_run(const SumTarget& target, const LongRun& run, std::int64_t column_begin,
                     std::int64_t column_end) {
  using Accum = AccumOf<ElemT>;
  // Columns that are summed together, in registers.
  constexpr std::int64_t kColumns = kTileVecs * kLanes<ElemT>;
  auto* const out = static_cast<ElemT*>(target.out) + run.out_row * target.dim;
  const Accum divisor = target.divides_by_count ? static_cast<Accum>(run.count) : Accum{1};
  for (std::int64_t column = column_begin; column < column_end; column += kColumns) {
    const std::int64_t columns = column_end - column < kColumns ? column_end - column : kColumns;
    Accum sums[kColumns];
    sum_chunks(target, run, column, columns, sums);
    for (std::int64_t c = 0; c < columns; ++c) {
      Lane<ElemT>::store(out + column + c, sums[c] / divisor);
    }
  }
}

template <typename ElemT>
constexpr ElemLoops kElemLoops{
    .sum_share_32 = &sum_share<ElemT, std::uint32_t>,
    .sum_share_64 = &sum_share<ElemT, std::uint64_t>,
    .finish_long_run = &finish_long_run<ElemT>,
    .scatter_32 = &scatter<ElemT, std::int32_t>,
    .scatter_64 = &scatter<ElemT, std::int64_t>,
    .merge = &merge<ElemT>,
};

}  // namespace

extern const StepLoops kStepLoops;
extern const RowLoops kRowLoops;
const RowLoops kRowLoops{
    .gather_32 = &gather<std::int32_t>,
    .gather_64 = &gather<std::int64_t>,
    .float_loops = kElemLoops<float>,
    .double_loops = kElemLoops<double>,
    .half_loops = kElemLoops<Half>,
    .bfloat16_loops = kElemLoops<BFloat16>,
    .steps = &kStepLoops,
};

}  // namespace rowlane::cpu::ROWLANE_ISA
