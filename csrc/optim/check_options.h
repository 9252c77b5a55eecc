// Ranges of the options that several optimizers share, as torch has them.
#pragma once

#include <c10/util/Exception.h>

#include <string_view>
#include <tuple>

namespace rowlane::optim::detail {

inline void check_not_negative(std::string_view optimizer, std::string_view name, double value) {
  TORCH_CHECK_VALUE(value >= 0, optimizer, ": ", name, " must not be negative, got ", value);
}

inline void check_betas(std::string_view optimizer, const std::tuple<double, double>& betas) {
  const auto& [beta1, beta2] = betas;
  TORCH_CHECK_VALUE(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1, optimizer,
                    ": betas must be in [0, 1), got ", beta1, " and ", beta2);
}

}  // namespace rowlane::optim::detail
