// A table with the states of an optimizer in the emulated device's memory, and what a step must
// make of it.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/rounding.h"
#include "cuda/simt/simt.cuh"
#include "cuda/step_rule.h"
#include "tests/kernels/device_array.h"
#include "tests/kernels/step_reference.h"

namespace rowlane::testing {

template <typename T>
constexpr kernels::ElemType kElemType =
    std::is_same_v<T, float>        ? kernels::ElemType::kFloat32
    : std::is_same_v<T, double>     ? kernels::ElemType::kFloat64
    : std::is_same_v<T, simt::half> ? kernels::ElemType::kFloat16
                                    : kernels::ElemType::kBFloat16;

// How far apart the numbers of T are, relatively; of the arithmetic.
template <typename T>
constexpr double kSpacing = std::is_same_v<T, double>       ? 0x1p-52
                            : std::is_same_v<T, float>      ? 0x1p-23
                            : std::is_same_v<T, simt::half> ? 0x1p-10
                                                            : 0x1p-7;

struct StepVariant {
  kernels::StepRule rule = kernels::StepRule::kSgd;
  bool has_momentum = false;
  bool is_nesterov = false;
  bool is_amsgrad = false;
  bool is_decoupled = false;
  bool counts_rows = false;
  bool states_are_float = false;
  bool has_master = false;
  bool rounds_at_random = false;
  double weight_decay = 0;
  std::int64_t step = 3;
  std::int64_t shift = 0;  // elements that everything is off its alignment

  [[nodiscard]] bool is_sgd() const { return rule == kernels::StepRule::kSgd; }
  [[nodiscard]] kernels::StepNumbers numbers() const {
    // Those of kSgd keep small integers exact.
    return {.lr = is_sgd() ? 0.5 : 0.05,
            .weight_decay = weight_decay,
            .is_decoupled = is_decoupled,
            .beta1 = is_sgd() ? 0.5 : 0.9,
            .beta2 = is_sgd() ? 0.25 : 0.99,
            .eps = 1e-3,
            .is_nesterov = is_nesterov,
            .step = step};
  }
  [[nodiscard]] std::string label() const {
    return "rule " + std::to_string(static_cast<int>(rule)) + (has_momentum ? ", momentum" : "") +
           (is_nesterov ? ", nesterov" : "") + (is_amsgrad ? ", amsgrad" : "") +
           (is_decoupled ? ", decoupled" : "") + (counts_rows ? ", counts rows" : "") +
           (states_are_float ? ", float states" : "") + (has_master ? ", master" : "") +
           (rounds_at_random ? ", random" : "") + ", decay " + std::to_string(weight_decay) +
           ", step " + std::to_string(step) + ", shift " + std::to_string(shift);
  }
};

// The sums of gradients of the rows that take a step.
using RowSums = std::map<std::int64_t, std::vector<double>>;

template <typename T>
class StepTable {
 public:
  using AccumT = simt::Accum<T>;

  StepTable(std::int64_t num_rows, std::int64_t dim, const StepVariant& variant)
      : num_rows_(num_rows),
        dim_(dim),
        variant_(variant),
        weight_(size()),
        master_(size()),
        row_state_(static_cast<std::size_t>(num_rows)),
        row_steps_(static_cast<std::size_t>(num_rows)) {
    std::mt19937 random(17);
    const auto draw = [&](int low, int high) {
      return static_cast<AccumT>(
          low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1)));
    };
    for (auto& state : narrow_) {
      state = std::make_unique<simt::DeviceArray<T>>(size());
    }
    for (auto& state : wide_) {
      state = std::make_unique<simt::DeviceArray<AccumT>>(size());
    }
    for (std::size_t i = 0; i < size(); ++i) {
      const bool is_zero = static_cast<std::int64_t>(i) < dim + variant.shift;  // row 0, for kLamb
      const AccumT w = is_zero ? AccumT{0} : draw(-32, 32) / 8;
      weight_[i] = simt::from_accum<T>(w);
      // Finer than the table, which is its rounded copy.
      master_[i] = static_cast<float>(w) + (is_zero ? 0.F : 0x1p-12F);
      for (std::size_t s = 0; s < 3; ++s) {
        const AccumT value = s == 0 && variant.rule != kernels::StepRule::kAdagrad
                                 ? draw(-8, 8) / 16
                                 : draw(1, 16) / 4;
        (*narrow_[s])[i] = simt::from_accum<T>(value);
        (*wide_[s])[i] = value;
      }
    }
    for (std::size_t row = 0; row < row_state_.size(); ++row) {
      row_state_[row] = draw(1, 16) / 4;
      row_steps_[row] = static_cast<std::int64_t>(row % 4);
    }
    before_ = read();
  }

  [[nodiscard]] kernels::RowStep step() const {
    const std::int64_t shift = variant_.shift;
    kernels::RowStep step{
        .target = {.weight = weight_.data() + shift,
                   .num_rows = num_rows_,
                   .dim = dim_,
                   .elem_type = kElemType<T>,
                   .states = {},
                   .states_are_float = variant_.states_are_float,
                   .row_steps = row_steps_.data(),
                   .counts_rows = variant_.counts_rows,
                   .master = variant_.has_master ? reinterpret_cast<float*>(master_.data() + shift)
                                                 : nullptr,
                   .rounds_at_random = variant_.rounds_at_random,
                   .seed = 99},
        .rule = variant_.rule,
        .numbers = variant_.numbers()};
    for (std::size_t s = 0; s < num_states(); ++s) {
      step.target.states[s] = variant_.states_are_float
                                  ? static_cast<void*>(wide_[s]->data() + shift)
                                  : static_cast<void*>(narrow_[s]->data() + shift);
    }
    if (is_row_wise()) {
      step.target.states[num_states()] = row_state_.data();
    }
    return step;
  }

  // Everything, for comparisons of bits.
  struct Contents {
    std::vector<ReferenceRow> rows;
    std::vector<double> master;
    std::vector<std::int64_t> row_steps;
    std::vector<std::uint8_t> bytes;
  };
  [[nodiscard]] Contents read() const {
    Contents contents;
    const auto append = [&](const auto& array) {
      const auto* const from = reinterpret_cast<const std::uint8_t*>(array.data());
      contents.bytes.insert(contents.bytes.end(), from,
                            from + array.size() * sizeof(*array.data()));
    };
    append(weight_);
    append(master_);
    append(row_state_);
    append(row_steps_);
    for (std::size_t s = 0; s < 3; ++s) {
      append(*narrow_[s]);
      append(*wide_[s]);
    }
    contents.row_steps = row_steps_.to_vector();
    for (std::int64_t row = 0; row < num_rows_; ++row) {
      ReferenceRow& to = contents.rows.emplace_back();
      to.row_state = static_cast<double>(row_state_.data()[row]);
      for (std::int64_t c = 0; c < dim_; ++c) {
        const std::int64_t i = variant_.shift + row * dim_ + c;
        to.w.push_back(variant_.has_master
                           ? static_cast<double>(master_.data()[i])
                           : static_cast<double>(simt::to_accum(weight_.data()[i])));
        for (std::size_t s = 0; s < 3; ++s) {
          to.states[s].push_back(variant_.states_are_float
                                     ? static_cast<double>(wide_[s]->data()[i])
                                     : static_cast<double>(simt::to_accum(narrow_[s]->data()[i])));
        }
      }
    }
    return contents;
  }

  // That the rows in `sums` have taken one step, and that nothing else has changed.
  void expect_stepped(const RowSums& sums) const {
    const Contents after = read();
    for (std::int64_t row = 0; row < num_rows_; ++row) {
      const auto at = static_cast<std::size_t>(row);
      const auto found = sums.find(row);
      kernels::StepNumbers numbers = variant_.numbers();
      if (variant_.counts_rows) {
        numbers.step = before_.row_steps[at] + 1;
      }
      const bool is_stepped = found != sums.end();
      ASSERT_EQ(after.row_steps[at], is_stepped ? numbers.step : before_.row_steps[at])
          << "row " << row;
      if (!is_stepped) {
        expect_untouched(row, after.rows[at]);
        continue;
      }
      const ReferenceRow expected =
          reference_step(before_.rows[at], found->second, variant_.rule, numbers,
                         variant_.has_momentum, variant_.is_amsgrad);
      expect_row(row, after.rows[at], expected, found->second);
    }
  }

 private:
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(variant_.shift + num_rows_ * dim_);
  }
  [[nodiscard]] bool is_row_wise() const {
    return variant_.rule == kernels::StepRule::kRowWiseAdagrad ||
           variant_.rule == kernels::StepRule::kPartialRowWiseAdam;
  }
  [[nodiscard]] std::size_t num_states() const {
    switch (variant_.rule) {
      case kernels::StepRule::kSgd:
        return variant_.has_momentum ? 1 : 0;
      case kernels::StepRule::kRowWiseAdagrad:
        return 0;
      case kernels::StepRule::kAdagrad:
      case kernels::StepRule::kPartialRowWiseAdam:
        return 1;
      case kernels::StepRule::kAdam:
        return variant_.is_amsgrad ? 3 : 2;
      default:
        return 2;
    }
  }

  void expect_untouched(std::int64_t row, const ReferenceRow& now) const {
    const ReferenceRow& old = before_.rows[static_cast<std::size_t>(row)];
    ASSERT_EQ(now.w, old.w) << "row " << row;
    ASSERT_EQ(now.states, old.states) << "row " << row;
    ASSERT_EQ(now.row_state, old.row_state) << "row " << row;
  }

  // Stored as S. kSgd computes without an error, so that it is only rounded.
  template <typename S>
  void expect_number(double actual, double expected, double scale, bool is_random) const {
    if (variant_.is_sgd() && !is_random) {
      ASSERT_EQ(actual, static_cast<double>(simt::to_accum(
                            simt::from_accum<S>(static_cast<simt::Accum<S>>(expected)))));
      return;
    }
    const double stored = kSpacing<S> * std::abs(expected) * (is_random ? 1 : 0.5);
    ASSERT_NEAR(actual, expected,
                stored + 64 * kSpacing<AccumT> * scale + 0x1p-25 * (sizeof(S) < 4));
  }

  void expect_row(std::int64_t row, const ReferenceRow& now, const ReferenceRow& expected,
                  const std::vector<double>& sums) const {
    for (std::size_t c = 0; c < static_cast<std::size_t>(dim_); ++c) {
      SCOPED_TRACE(::testing::Message() << "row " << row << " column " << c);
      const double g = std::abs(sums[c]) + std::abs(expected.w[c]) + 1;
      const auto at = static_cast<std::size_t>(variant_.shift + row * dim_) + c;
      if (variant_.has_master) {
        expect_number<AccumT>(now.w[c], expected.w[c], g, false);
        const double copy = static_cast<double>(simt::to_accum(weight_.data()[at]));
        expect_copy(row, c, copy, static_cast<float>(now.w[c]));
      } else if (variant_.rounds_at_random && variant_.is_sgd()) {
        expect_copy(row, c, now.w[c], static_cast<float>(expected.w[c]));
      } else {
        expect_number<T>(now.w[c], expected.w[c], g, variant_.rounds_at_random);
      }
      for (std::size_t s = 0; s < num_states(); ++s) {
        const double actual = now.states[s][c];
        variant_.states_are_float
            ? expect_number<AccumT>(actual, expected.states[s][c], g * g, false)
            : expect_number<T>(actual, expected.states[s][c], g * g, false);
      }
      if (::testing::Test::HasFatalFailure()) {
        return;
      }
    }
    if (is_row_wise()) {
      ASSERT_NEAR(now.row_state, expected.row_state,
                  64 * kSpacing<AccumT> * (1 + std::abs(expected.row_state)))
          << "row " << row;
    }
  }

  // What the table holds of a number that is finer than it.
  void expect_copy(std::int64_t row, std::size_t column, double copy, float exact) const {
    float rounded = exact;
    if (variant_.rounds_at_random) {
      const std::uint32_t random = kernels::rounding_bits(kernels::rounding_key(99, row),
                                                          static_cast<std::uint32_t>(column));
      rounded = std::is_same_v<T, simt::half> ? kernels::round_to_half_at_random(exact, random)
                                              : kernels::round_to_bfloat16_at_random(exact, random);
    }
    ASSERT_EQ(copy, static_cast<double>(
                        simt::to_accum(simt::from_accum<T>(static_cast<AccumT>(rounded)))));
  }

  std::int64_t num_rows_;
  std::int64_t dim_;
  StepVariant variant_;
  simt::DeviceArray<T> weight_;
  simt::DeviceArray<float> master_;
  std::array<std::unique_ptr<simt::DeviceArray<T>>, 3> narrow_;
  std::array<std::unique_ptr<simt::DeviceArray<AccumT>>, 3> wide_;
  simt::DeviceArray<AccumT> row_state_;
  simt::DeviceArray<std::int64_t> row_steps_;
  Contents before_;
};

template <typename T>
std::vector<T> random_integers(std::size_t count) {
  std::mt19937 random(3);
  std::vector<T> values(count);
  for (auto& value : values) {
    value = simt::from_accum<T>(static_cast<simt::Accum<T>>(static_cast<int>(random() % 5) - 2));
  }
  return values;
}

inline const std::vector<StepVariant>& elementwise_variants() {
  using kernels::StepRule;
  static const std::vector<StepVariant> variants{
      {},
      {.weight_decay = 0.25},
      {.is_decoupled = true, .weight_decay = 0.25},
      {.has_momentum = true},
      {.has_momentum = true, .weight_decay = 0.25, .step = 1},
      {.has_momentum = true, .is_nesterov = true, .states_are_float = true},
      {.rule = StepRule::kAdagrad, .weight_decay = 0.125},
      {.rule = StepRule::kAdagrad, .states_are_float = true},
      {.rule = StepRule::kAdam},
      {.rule = StepRule::kAdam, .weight_decay = 0.125, .step = 1},
      {.rule = StepRule::kAdam, .is_amsgrad = true, .states_are_float = true},
      {.rule = StepRule::kAdam, .is_decoupled = true, .weight_decay = 0.125, .step = 1000},
      {.rule = StepRule::kSparseAdam},
      {.rule = StepRule::kSparseAdam, .states_are_float = true, .weight_decay = 0.125, .step = 1},
  };
  return variants;
}

inline const std::vector<StepVariant>& row_wise_variants() {
  using kernels::StepRule;
  static const std::vector<StepVariant> variants{
      {.rule = StepRule::kRowWiseAdagrad},
      {.rule = StepRule::kRowWiseAdagrad, .is_decoupled = true, .weight_decay = 0.125},
      {.rule = StepRule::kPartialRowWiseAdam, .states_are_float = true, .weight_decay = 0.125},
      {.rule = StepRule::kPartialRowWiseAdam, .counts_rows = true},
      {.rule = StepRule::kLamb, .weight_decay = 0.125},
      {.rule = StepRule::kLamb,
       .is_decoupled = true,
       .counts_rows = true,
       .states_are_float = true,
       .weight_decay = 0.125},
  };
  return variants;
}

// Of 16-bit tables.
inline const std::vector<StepVariant>& rounding_variants() {
  using kernels::StepRule;
  static const std::vector<StepVariant> variants{
      {.has_master = true},
      {.has_momentum = true,
       .states_are_float = true,
       .has_master = true,
       .rounds_at_random = true},
      {.rounds_at_random = true, .weight_decay = 0.125},
      {.rule = StepRule::kAdam, .has_master = true},
      {.rule = StepRule::kAdam, .states_are_float = true, .rounds_at_random = true},
      {.rule = StepRule::kSparseAdam, .has_master = true, .rounds_at_random = true},
  };
  return variants;
}

}  // namespace rowlane::testing
