// Tables of people and things as tensors: a row number for each category, a float for each number.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "csv.h"

namespace rowlane::examples {

// What a data set has in its columns. An empty field and "?" stand for a missing value.
struct TabularSchema {
  std::vector<std::string> header;
  std::vector<std::string> categorical;
  std::vector<std::string> continuous;
  std::string target;
  std::string positive;  // the value of `target` to predict
};

// Rows of a data set: [num_rows, columns].
struct TabularTensors {
  at::Tensor categories;  // [num_rows, schema.categorical.size()], int64
  at::Tensor numbers;     // [num_rows, schema.continuous.size()], float
  at::Tensor targets;     // [num_rows], float: 1 for `positive`, else 0

  std::int64_t size() const { return targets.size(0); }
  TabularTensors select(const at::Tensor& positions) const;
  TabularTensors narrow(std::int64_t start, std::int64_t length) const;
};

// Learns from the training rows how any row becomes numbers, so that nothing of the others leaks
// into it. Categories are numbered from 1 in sorted order; row 0, #na#, stands for a missing value
// and for a category that training doesn't have. Numbers are normalised to mean 0 and variance 1 of
// those that are there; a missing one is 0, the mean.
class TabularEncoder {
 public:
  // A category that less than `min_count` training rows have is #na# as well.
  //
  // Throws std::runtime_error when a column isn't in the header, a field of a continuous column is
  // no number, or there are no rows.
  TabularEncoder(TabularSchema schema, std::span<const CsvRow> training_rows,
                 std::int64_t min_count = 1);

  // Throws std::runtime_error when a field of a continuous column is no number.
  TabularTensors encode(std::span<const CsvRow> rows) const;

  // Categories of each categorical column, #na# among them: the rows that its table needs.
  std::vector<std::int64_t> num_categories() const;

  const TabularSchema& schema() const { return schema_; }

 private:
  struct Normalisation {
    double mean;
    double deviation;
  };

  TabularSchema schema_;
  std::vector<std::size_t> categorical_columns_, continuous_columns_;
  std::size_t target_column_;
  std::vector<std::map<std::string, std::int64_t>> numbers_of_categories_;
  std::vector<Normalisation> normalisations_;
};

// The part of `scores` [n] (logits) on the right side of zero, for `targets` [n] of 0 and 1. NaN
// when a score is.
double accuracy(const at::Tensor& scores, const at::Tensor& targets);

// The chance that a positive has a higher score than a negative, ties counted half: the area under
// the ROC curve. NaN when either kind is missing or a score is NaN.
double roc_auc(const at::Tensor& scores, const at::Tensor& targets);

}  // namespace rowlane::examples
