// Plans a look-up and its backward pass, which needs no GPU and no driver.
#include <rowlane/kernels/backward.h>
#include <rowlane/kernels/gather.h>
#include <rowlane/kernels/policy.h>

#include <iostream>

namespace kernels = rowlane::kernels;

int main() {
  const kernels::GatherPolicy gather = kernels::select_gather_policy(
      {.num_rows = 1000, .num_indices = 4096, .row_bytes = 200, .table_bits = 200},
      {.num_sms = 132, .l2_bytes = 50 << 20});
  std::cout << "gather: " << gather.vec_bytes << " bytes per access\n";

  kernels::BackwardProblem problem{.num_rows = 1000, .dim = 50, .num_indices = 4096};
  kernels::BackwardPolicy backward;
  const kernels::Status chosen =
      kernels::select_backward_policy(problem, kernels::BackwardRequest::kSorted, &backward);
  std::cout << "backward: sorts " << backward.pairs.key_bits << " bits" << chosen.message() << '\n';

  problem.elem_type = kernels::ElemType::kFloat16;
  const kernels::Status refused =
      kernels::select_backward_policy(problem, kernels::BackwardRequest::kAtomic, &backward);
  std::cout << "float16: " << refused.message() << '\n';

  // Links the launcher; an empty look-up launches nothing.
  const kernels::Status empty = kernels::gather({}, nullptr);
  std::cout << "empty: " << (empty.ok() ? "ok" : empty.message()) << '\n';
}
