#include "ratings.h"

#include <map>
#include <stdexcept>

#include "csv.h"
#include "text_file.h"

namespace rowlane::examples {
namespace {

constexpr const char* kUser = "user_id";
constexpr const char* kMovie = "movie_id";

std::int64_t id_in(const std::string& field, const std::string& name, const std::string& place) {
  const auto id = parse_number<std::int64_t>(field);
  if (!id || *id < 1) {
    throw std::runtime_error(place + ": " + name + " must be 1 or more, got " + beginning(field));
  }
  return *id;
}

}  // namespace

std::vector<Rating> read_ratings(const std::filesystem::path& ratings,
                                 const std::filesystem::path& items) {
  std::map<std::int64_t, std::string> titles;
  read_csv(items, {kMovie, "title"}, [&](const CsvRow& row, const std::string& place) {
    titles[id_in(row[0], kMovie, place)] = row[1];
  });
  std::vector<Rating> read;
  read_csv(ratings, {kUser, kMovie, "rating", "timestamp"},
           [&](const CsvRow& row, const std::string& place) {
             const std::int64_t movie_id = id_in(row[1], kMovie, place);
             const auto title = titles.find(movie_id);
             if (title == titles.end()) {
               throw std::runtime_error(place + ": no title for movie_id " + row[1]);
             }
             read.push_back({id_in(row[0], kUser, place), movie_id, title->second,
                             static_cast<float>(csv_number(row[2], "rating", place))});
           });
  return read;
}

}  // namespace rowlane::examples
