// Files of ratings, each by a user of a film.
//
// accepted                                     | refused
// ---------------------------------------------+--------------------------------------------------
// what csv.h says, of two files                | (csv.h's)
// user_id and movie_id from 1 on               | PATH: row 2: user_id must be 1 or more, got 0
// a film's rating, where the film has a title  | PATH: row 2: no title for movie_id 7
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace rowlane::examples {

struct Rating {
  std::int64_t user_id;   // from 1 on; 943 of MovieLens 100K
  std::int64_t movie_id;  // from 1 on; 1682 of MovieLens 100K
  std::string title;
  float stars;
};

// Reads `ratings` (user_id, movie_id, rating, timestamp), in order, with the titles of `items`
// (movie_id, title).
//
// Throws std::runtime_error for what the table above refuses.
std::vector<Rating> read_ratings(const std::filesystem::path& ratings,
                                 const std::filesystem::path& items);

}  // namespace rowlane::examples
