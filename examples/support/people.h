// Two data sets of people: the adults of a census, and the passengers of the Titanic.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tabular_data.h"

namespace rowlane::examples {

// "adult": who earns more than 50K a year; "titanic": who survives. Throws std::out_of_range for
// another name.
const TabularSchema& people_schema(const std::string& name);

// Reads the file that scripts/data/tabular.py writes, in its order.
//
// Throws std::runtime_error, naming the command that gets the data when it is missing.
std::vector<CsvRow> read_people(const std::filesystem::path& directory, const std::string& name);

struct TabularSplit {
  TabularEncoder encoder;  // has seen the training rows only
  TabularTensors train, valid;
};

// Draws a permutation from torch's generator and takes the first fifth of it for validation.
// `min_count` as in TabularEncoder.
TabularSplit split_people(const TabularSchema& schema, const std::vector<CsvRow>& rows,
                          std::int64_t min_count);

}  // namespace rowlane::examples
