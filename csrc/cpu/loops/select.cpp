#include <c10/util/Exception.h>

#include <cstdlib>
#include <string_view>

#include "csrc/cpu/loops/loops.h"

namespace rowlane::cpu {

namespace baseline {
extern const RowLoops kRowLoops;
}
#ifdef ROWLANE_X86
namespace avx2 {
extern const RowLoops kRowLoops;
}
namespace avx512 {
extern const RowLoops kRowLoops;
}
#endif

namespace {

struct Choice {
  std::string_view name;
  const RowLoops* loops;
  bool is_supported;
};

const RowLoops& select_row_loops() {
  // The best first.
  const Choice choices[] = {
#ifdef ROWLANE_X86
      {"avx512", &avx512::kRowLoops,
       __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
           __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0},
      {"avx2", &avx2::kRowLoops,
       __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("f16c") != 0},
#endif
      {"baseline", &baseline::kRowLoops, true},
  };
  const char* const wanted = std::getenv("ROWLANE_CPU_ISA");
  for (const Choice& choice : choices) {
    if (choice.is_supported && (wanted == nullptr || choice.name == wanted)) {
      return *choice.loops;
    }
  }
  TORCH_CHECK_VALUE(false,
                    "ROWLANE_CPU_ISA must be baseline, avx2 or avx512, and one that this "
                    "processor has, got '",
                    wanted, "'");
}

}  // namespace

const RowLoops& row_loops() {
  static const RowLoops& loops = select_row_loops();
  return loops;
}

}  // namespace rowlane::cpu
