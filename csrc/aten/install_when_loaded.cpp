// librowlane_aten: whoever loads it has Rowlane's kernels under torch's embedding ops.
#include "rowlane/aten.h"

namespace {

[[maybe_unused]] const bool installed = [] {
  rowlane::install_aten_kernels();
  return true;
}();

}  // namespace
