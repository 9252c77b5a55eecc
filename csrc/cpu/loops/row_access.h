// Rows of a table and of its optimizer's state as rows of float or double, and back with one
// rounding, for the files that are compiled once for each instruction set (lanes.h).
#pragma once

#include <cstdint>
#include <type_traits>

#include "csrc/cpu/loops/lanes.h"
#include "csrc/cpu/loops/step_loops.h"
#include "csrc/cpu/loops/step_rules.h"
#include "cuda/rounding.h"

namespace rowlane::cpu::ROWLANE_ISA {

// ---- Rounding at random ------------------------------------------------------------------------

// Up with a probability that is the distance to the number below: for the low bits that the type
// lacks, random ones are added, and the carry decides. A NaN stays one.
inline Int16Vec narrow_at_random(const BFloat16* /*type*/, FloatVec value, Int32Vec random) {
  const auto is_nan = bits_as<Int32Vec>(value != value);
  const Int32Vec rounded = (bits_as<Int32Vec>(value) + (random >> 16U)) >> 16U;
  return __builtin_convertvector((rounded & ~is_nan) | (0x7fc0U & is_nan), Int16Vec);
}

inline Int16Vec narrow_at_random(const Half* /*type*/, FloatVec value, Int32Vec random) {
  // Below it, half has a fixed spacing: that of the numbers just above it. Adding it brings the
  // bits that half lacks where those of larger numbers are.
  constexpr float kMinNormal = 0x1p-14F;
  constexpr std::uint32_t kLackedBits = 0x1fffU;
  const Int32Vec sign = bits_as<Int32Vec>(value) & 0x80000000U;
  const auto magnitude = bits_as<FloatVec>(bits_as<Int32Vec>(value) & 0x7fffffffU);
  const FloatVec shift = magnitude < kMinNormal ? FloatVec{} + kMinNormal : FloatVec{};
  const Int32Vec bits = bits_as<Int32Vec>(magnitude + shift);
  const auto is_finite = bits_as<Int32Vec>(bits < 0x7f800000U);
  const Int32Vec rounded =
      ((bits + (random >> 19U)) & ~kLackedBits & is_finite) | (bits & ~is_finite);
  const FloatVec result = bits_as<FloatVec>(rounded) - shift;
  return Lane<Half>::narrow(bits_as<FloatVec>(bits_as<Int32Vec>(result) | sign));
}

// For the columns from `column` on.
inline Int32Vec random_bits(std::uint32_t key, std::int64_t column) {
  constexpr std::uint32_t kCount = kVecBytes / sizeof(std::uint32_t);
  std::uint32_t bits[kCount];
  for (std::uint32_t i = 0; i < kCount; ++i) {
    bits[i] = kernels::rounding_bits(key, static_cast<std::uint32_t>(column) + i);
  }
  return load_bits<Int32Vec>(bits);
}

// ---- 16-bit rows -------------------------------------------------------------------------------

template <typename ElemT>
void widen_row(float* to, const ElemT* from, std::int64_t dim) {
  for_each_columns<float>(dim, [&](auto columns) {
    ElemT part[kLanes<float>] = {};
    copy_row(reinterpret_cast<char*>(part), reinterpret_cast<const char*>(from + columns.begin),
             columns.count * static_cast<std::int64_t>(sizeof(ElemT)));
    columns.store(to, Lane<ElemT>::load_vec(part));
  });
}

// narrow(value, column) -> Int16Vec
template <typename ElemT, typename Narrow>
void narrow_row(ElemT* to, const float* from, std::int64_t dim, const Narrow& narrow) {
  for_each_columns<float>(dim, [&](auto columns) {
    const Int16Vec part = narrow(columns.load(from), columns.begin);
    copy_row(reinterpret_cast<char*>(to + columns.begin), reinterpret_cast<const char*>(&part),
             columns.count * static_cast<std::int64_t>(sizeof(ElemT)));
  });
}

// ---- Rows of a table ---------------------------------------------------------------------------

// How far ahead a step fetches, in bytes of gradients, tables and states together.
inline constexpr std::int64_t kStepPrefetchBytes = 8192;

template <typename ElemT>
class RowAccess {
  using Accum = AccumOf<ElemT>;
  static constexpr bool kIsWide = std::is_same_v<ElemT, Accum>;

 public:
  // Rows of AccumT [dim] of scratch memory.
  static constexpr std::int64_t kScratchRows = 5;

  RowAccess(const StepTable& table, Accum* scratch) : table_(table), scratch_(scratch) {}

  // All but the gradient.
  [[nodiscard]] StepRow<Accum> open(std::int64_t row) const {
    StepRow<Accum> result{.scratch = scratch_ + 4 * table_.dim, .dim = table_.dim};
    if constexpr (kIsWide) {
      result.weight = weight(row);
    } else if (table_.master != nullptr) {
      result.weight = table_.master + row * table_.dim;
    } else {
      result.weight = scratch_ + 3 * table_.dim;
      widen_row(result.weight, weight(row), table_.dim);
    }
    for (int k = 0; k < table_.num_states; ++k) {
      if (is_in_place(k)) {
        result.state[k] = static_cast<Accum*>(table_.state[k]) + row * state_dim(k);
      } else if constexpr (!kIsWide) {
        result.state[k] = scratch_ + k * table_.dim;
        widen_row(result.state[k], narrow_state(k, row), table_.dim);
      }
    }
    return result;
  }

  void close(std::int64_t row, const StepRow<Accum>& opened) const {
    if constexpr (!kIsWide) {
      const auto to_nearest = [](FloatVec value, std::int64_t /*column*/) {
        return Lane<ElemT>::narrow(value);
      };
      if (table_.rounds_at_random) {
        const std::uint32_t key = kernels::rounding_key(table_.seed, row);
        narrow_row(weight(row), opened.weight, table_.dim,
                   [key](FloatVec value, std::int64_t column) {
                     return narrow_at_random(static_cast<const ElemT*>(nullptr), value,
                                             random_bits(key, column));
                   });
      } else {
        narrow_row(weight(row), opened.weight, table_.dim, to_nearest);
      }
      for (int k = 0; k < table_.num_states; ++k) {
        if (!is_in_place(k)) {
          narrow_row(narrow_state(k, row), opened.state[k], table_.dim, to_nearest);
        }
      }
    }
  }

  // How many rows ahead a step fetches what it reads and writes.
  [[nodiscard]] std::int64_t rows_ahead() const {
    const auto weight_bytes = table_.dim * static_cast<std::int64_t>(sizeof(ElemT));
    std::int64_t bytes = 2 * weight_bytes;  // the gradient's, too
    if (table_.master != nullptr) {
      bytes += table_.dim * static_cast<std::int64_t>(sizeof(float));
    }
    for (int k = 0; k < table_.num_states; ++k) {
      bytes += state_bytes(k);
    }
    return prefetch_rows_ahead(bytes, kStepPrefetchBytes);
  }

  [[gnu::always_inline]] void fetch(std::int64_t row) const {
    prefetch_row_to_write(weight(row), table_.dim * static_cast<std::int64_t>(sizeof(ElemT)));
    if (table_.master != nullptr) {
      prefetch_row_to_write(table_.master + row * table_.dim,
                            table_.dim * static_cast<std::int64_t>(sizeof(float)));
    }
    for (int k = 0; k < table_.num_states; ++k) {
      const auto bytes =
          static_cast<std::int64_t>(is_in_place(k) ? sizeof(Accum) : sizeof(ElemT)) * state_dim(k);
      prefetch_row_to_write(static_cast<const char*>(table_.state[k]) + row * bytes, bytes);
    }
    if (table_.row_steps != nullptr) {
      __builtin_prefetch(table_.row_steps + row, 1);
    }
  }

 private:
  [[nodiscard]] ElemT* weight(std::int64_t row) const {
    return static_cast<ElemT*>(table_.weight) + row * table_.dim;
  }
  [[nodiscard]] bool is_per_row(int k) const {
    return table_.last_is_per_row && k + 1 == table_.num_states;
  }
  [[nodiscard]] std::int64_t state_dim(int k) const { return is_per_row(k) ? 1 : table_.dim; }
  [[nodiscard]] bool is_in_place(int k) const {
    return kIsWide || table_.state_is_wide || is_per_row(k);
  }
  [[nodiscard]] std::int64_t state_bytes(int k) const {
    return static_cast<std::int64_t>(is_in_place(k) ? sizeof(Accum) : sizeof(ElemT)) * state_dim(k);
  }
  [[nodiscard]] ElemT* narrow_state(int k, std::int64_t row) const {
    return static_cast<ElemT*>(table_.state[k]) + row * table_.dim;
  }

  const StepTable table_;
  Accum* const scratch_;
};

}  // namespace rowlane::cpu::ROWLANE_ISA
