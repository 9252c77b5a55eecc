#include "film_reviews.h"

#include <torch/types.h>

#include <string>
#include <vector>

#include "csv.h"
#include "padding.h"
#include "program.h"

namespace rowlane::examples {

FilmReviews FilmReviews::select(const at::Tensor& positions) const {
  return {rows.index_select(0, positions), verdicts.index_select(0, positions)};
}

FilmReviews FilmReviews::narrow(std::int64_t start, std::int64_t length) const {
  return {rows.narrow(0, start, length), verdicts.narrow(0, start, length)};
}

FilmReviews read_film_reviews(const std::filesystem::path& directory,
                              const PretrainedTable& pretrained) {
  require_data("film reviews", directory, {"snippets.csv"});
  std::vector<std::vector<std::int64_t>> lines;
  std::vector<float> verdicts;
  read_csv(directory / "snippets.csv", {"rating", "text"},
           [&](const CsvRow& row, const std::string& place) {
             // The mean of the readers', from -4 to 4.
             const double rating = csv_number(row[0], "rating", place);
             if (rating != 0) {
               lines.push_back(pretrained.rows_of(row[1]));
               verdicts.push_back(rating > 0 ? 1.F : 0.F);
             }
           });
  return {pad_rows(lines, pretrained.padding_row), torch::tensor(verdicts)};
}

}  // namespace rowlane::examples
