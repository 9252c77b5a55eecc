// RowSinks: what becomes of a row whose gradient has been summed.
//
// A RowSink is a struct of plain values with
//   using Elem                      of the table
//   kFillsEmptyRows                 it is given every row of the table, those without an index too
//   kRanked                         rows go to slot 0, 1, .. in the order of their numbers, not to
//                                   the slot of their number
//   kIsPlain                        finished slots are nothing but consecutive rows of memory, from
//                                   slots() on, so that narrow rows can be gathered in shared
//                                   memory and stored together
//   kDefersStores                   store() is long code, so that rows are finished in a loop of
//                                   their own, which the kernel has once
//   void store<kElems>(slot, row, column, sum)
//                                   called once per element of a row; may change sum
//   void store_row_number(slot, row, column)
//                                   of plain, ranked sinks, where rows are gathered
#pragma once

#include "cuda/row_address.cuh"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

template <typename ElemT, int kElems>
ROWLANE_DEVICE void store_elements(ElemT* p, const simt::Accum<ElemT> (&sum)[kElems]) {
  simt::Vec<ElemT, kElems> value;
  ROWLANE_UNROLL
  for (int e = 0; e < kElems; ++e) {
    value.v[e] = simt::from_accum<ElemT>(sum[e]);
  }
  simt::store(reinterpret_cast<simt::Vec<ElemT, kElems>*>(p), value);
}

// Overwrites a whole gradient table: sums, and zeros for the rows without an index.
template <typename ElemT>
struct DenseRowSink {
  using Elem = ElemT;
  static constexpr bool kFillsEmptyRows = true;
  static constexpr bool kRanked = false;
  static constexpr bool kIsPlain = true;
  static constexpr bool kDefersStores = false;

  ElemT* __restrict__ grad_table;  // [num_rows, dim]
  std::int64_t dim;

  template <int kElems>
  ROWLANE_DEVICE void store(std::int64_t slot, std::int64_t /*row*/, std::int64_t column,
                            simt::Accum<ElemT> (&sum)[kElems]) const {
    store_elements(row_address(grad_table, slot, dim) + column, sum);
  }
  ROWLANE_DEVICE ElemT* slots() const { return grad_table; }
};

// Adds to a gradient table that holds values already; rows without an index aren't touched.
template <typename ElemT>
struct AddingRowSink {
  using Elem = ElemT;
  static constexpr bool kFillsEmptyRows = false;
  static constexpr bool kRanked = false;
  static constexpr bool kIsPlain = false;
  static constexpr bool kDefersStores = false;

  ElemT* __restrict__ grad_table;  // [num_rows, dim]
  std::int64_t dim;

  template <int kElems>
  ROWLANE_DEVICE void store(std::int64_t slot, std::int64_t /*row*/, std::int64_t column,
                            simt::Accum<ElemT> (&sum)[kElems]) const {
    ElemT* const p = row_address(grad_table, slot, dim) + column;
    const auto old = simt::load(reinterpret_cast<const simt::Vec<ElemT, kElems>*>(p));
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      sum[e] += simt::to_accum(old.v[e]);
    }
    store_elements(p, sum);
  }
};

// The row gradient: the numbers of the rows that have an index, ascending, and their sums.
template <typename ElemT>
struct CompactRowSink {
  using Elem = ElemT;
  static constexpr bool kFillsEmptyRows = false;
  static constexpr bool kRanked = true;
  static constexpr bool kIsPlain = true;
  static constexpr bool kDefersStores = false;

  std::int64_t* __restrict__ rows;  // [capacity]
  ElemT* __restrict__ values;       // [capacity, dim]
  std::int64_t dim;

  template <int kElems>
  ROWLANE_DEVICE void store(std::int64_t slot, std::int64_t row, std::int64_t column,
                            simt::Accum<ElemT> (&sum)[kElems]) const {
    store_row_number(slot, row, column);
    store_elements(values + slot * dim + column, sum);
  }
  ROWLANE_DEVICE void store_row_number(std::int64_t slot, std::int64_t row,
                                       std::int64_t column) const {
    if (column == 0) {
      simt::store(rows + slot, row);
    }
  }
  ROWLANE_DEVICE ElemT* slots() const { return values; }
};

}  // namespace rowlane::kernels
