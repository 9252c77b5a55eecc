#include "people.h"

#include <torch/types.h>

#include <map>

#include "program.h"

namespace rowlane::examples {

const TabularSchema& people_schema(const std::string& name) {
  static const std::map<std::string, TabularSchema> kSchemas = {
      {"adult",
       {.header = {"age", "workclass", "fnlwgt", "education", "educational-num", "marital-status",
                   "occupation", "relationship", "race", "gender", "capital-gain", "capital-loss",
                   "hours-per-week", "native-country", "income"},
        .categorical = {"workclass", "education", "marital-status", "occupation", "relationship",
                        "race", "gender", "native-country"},
        .continuous = {"age", "fnlwgt", "educational-num", "capital-gain", "capital-loss",
                       "hours-per-week"},
        .target = "income",
        .positive = ">50K"}},
      {"titanic",
       {.header = {"class", "age", "sex", "survived"},
        .categorical = {"class", "age", "sex"},
        .continuous = {},
        .target = "survived",
        .positive = "yes"}}};
  return kSchemas.at(name);
}

std::vector<CsvRow> read_people(const std::filesystem::path& directory, const std::string& name) {
  const std::string file = name + ".csv";
  require_data("people", directory, {file});
  return read_csv(directory / file, people_schema(name).header);
}

TabularSplit split_people(const TabularSchema& schema, const std::vector<CsvRow>& rows,
                          std::int64_t min_count) {
  const auto num_rows = static_cast<std::int64_t>(rows.size());
  const at::Tensor order = torch::randperm(num_rows, at::kLong);
  const auto* const positions = order.const_data_ptr<std::int64_t>();
  std::vector<CsvRow> train, valid;
  for (std::int64_t i = 0; i < num_rows; ++i) {
    (i < num_rows / 5 ? valid : train).push_back(rows[static_cast<std::size_t>(positions[i])]);
  }
  TabularEncoder encoder(schema, train, min_count);
  TabularSplit split{encoder, encoder.encode(train), encoder.encode(valid)};
  return split;
}

}  // namespace rowlane::examples
