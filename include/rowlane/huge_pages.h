// Tables in huge pages.
#pragma once

#include <ATen/core/Tensor.h>

#include "rowlane/export.h"

namespace rowlane {

// Asks the system to hold a table's memory in pages of 2 MiB, so that looking a row of a large
// table up doesn't take a walk through page tables, too. What it holds stays. A hint, for tables of
// 8 MiB or more on a CPU under Linux whose memory is from torch's allocator; nothing happens to
// others, or where the system refuses (/sys/kernel/mm/transparent_hugepage/enabled is "never").
//
// nn::Embedding asks for the table that it makes, and optimizers for what they keep, before
// anything is written there, which costs nothing. Memory in use is moved by the system, in half a
// second to two per GB: a table that is given, which pays in a training run or a server, and states
// that torch makes (Adagrad's) or an archive brings, for which optimizers ask.
ROWLANE_EXPORT void use_huge_pages(const at::Tensor& table);

}  // namespace rowlane
