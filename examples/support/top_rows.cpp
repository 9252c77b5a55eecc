#include "top_rows.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "ranking.h"

namespace rowlane::examples {

std::vector<ScoredRow> top_rows(const std::string& what, const at::Tensor& scores,
                                std::int64_t count, bool is_largest) {
  const at::Tensor rows = scores.isnan().logical_not().nonzero().squeeze(1);
  report_not_a_number(what, scores.numel() - rows.numel(), scores.numel());
  const auto [values, places] = scores.index_select(0, rows).topk(
      std::min(count, rows.numel()), /*dim=*/0, /*largest=*/is_largest);
  std::vector<ScoredRow> top;
  for (std::int64_t i = 0; i < places.size(0); ++i) {
    top.push_back({rows[places[i]].item<std::int64_t>(), values[i].item<double>()});
  }
  return top;
}

}  // namespace rowlane::examples
