// Figures that are written and read again, and the programs' errors.
#include "examples/support/record.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "examples/support/collab_models.h"
#include "examples/support/csv.h"
#include "examples/support/embedding_width.h"
#include "examples/support/program.h"

namespace rowlane::examples {
namespace {

std::filesystem::path temporary(const std::string& name) {
  return std::filesystem::temp_directory_path() / ("rowlane_record_test_" + name);
}

TEST(RecordTest, KeepsAllDigitsAndQuotes) {
  Record record({"title", "count", "loss"});
  record.add({std::string("Silence of the \"Lambs\", The"), std::int64_t{3}, 1 / 3.0});
  record.add({std::string("short"), std::int64_t{0}, 0.1});
  record.add({std::string("plain"), std::int64_t{-4}, std::numeric_limits<double>::quiet_NaN()});
  const auto path = temporary("quotes.csv");
  record.write_csv(path);
  const auto rows = read_csv(path, {"title", "count", "loss"});
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0], (CsvRow{"Silence of the \"Lambs\", The", "3", "0.3333333333333333"}));
  EXPECT_EQ(rows[1], (CsvRow{"short", "0", "0.1"}));
  EXPECT_EQ(rows[2], (CsvRow{"plain", "-4", ""}));
  std::filesystem::remove(path);
}

TEST(CsvTest, ReadsEmptyQuotesAndTheEndsOfLinesOfOtherSystems) {
  const auto path = temporary("foreign.csv");
  std::ofstream(path) << "title,genre\r\n\"\",\"a, b\"\r\n";
  EXPECT_EQ(read_csv(path, {"title", "genre"}), (std::vector<CsvRow>{{"", "a, b"}}));
  std::filesystem::remove(path);
}

TEST(CsvTest, TellsWhichLineIsOfAnotherTable) {
  const auto path = temporary("other.csv");
  std::ofstream(path) << "title,count\nFargo,1\nGattaca\n";
  const auto error = [&](const CsvRow& header) -> std::string {
    try {
      read_csv(path, header);
      return "no error";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  };
  EXPECT_EQ(error({"title", "stars"}),
            path.string() + ": unexpected columns in its first line: title,count");
  EXPECT_EQ(error({"title", "count"}), path.string() + ": row 2 has 1 fields: Gattaca");
  std::filesystem::remove(path);
}

TEST(CsvTest, MakesTheFolderOfItsFile) {
  const auto folder = temporary("folder");
  write_csv(folder / "losses.csv", {"epoch"}, {{"1"}});
  EXPECT_EQ(read_csv(folder / "losses.csv", {"epoch"}), (std::vector<CsvRow>{{"1"}}));
  std::filesystem::remove(folder / "losses.csv");
  std::filesystem::remove(folder);
}

TEST(RecordTest, PrintsShortNumbersOfTheColumnsThatAreNotHidden) {
  Record record({"seed", "epoch", "loss"});
  testing::internal::CaptureStdout();
  record.print_header({"seed"});
  record.add({std::int64_t{7}, std::int64_t{1}, 0.123456});
  record.add({std::int64_t{7}, std::int64_t{2}, 1e-7});
  record.add({std::int64_t{7}, std::int64_t{3}, 1e5});
  record.add({std::int64_t{7}, std::int64_t{4}, std::numeric_limits<double>::quiet_NaN()});
  record.print_header({"seed", "loss"});
  record.add({std::int64_t{7}, std::int64_t{5}, 0.5});
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "    epoch       loss  \n"
            "        1     0.1235  \n"
            "        2  1.000e-07  \n"
            "        3  1.000e+05  \n"
            "        4          -  \n"
            "    epoch  \n"
            "        5  \n");
}

TEST(RecordTest, RefusesARowOfAnotherLength) {
  Record record({"epoch", "loss"});
  EXPECT_THROW(record.add({std::int64_t{1}}), std::logic_error);
}

TEST(RecordTest, SaysThatItCannotBeWritten) {
  const auto file = temporary("file");
  std::ofstream(file) << "a file, no folder";
  try {
    Record({"epoch"}).write_csv(file / "losses.csv");
    FAIL() << "no error";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()), "cannot write " + (file / "losses.csv").string());
  }
  std::filesystem::remove(file);
}

TEST(ProgramTest, NamesTheCommandThatGetsMissingData) {
  try {
    require_data("MovieLens ratings", temporary("nothing"), {"ratings.csv"});
    FAIL() << "no error";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()),
              "no MovieLens ratings in " + temporary("nothing").string() +
                  " (ratings.csv is missing): get them with 'make data'");
  }
}

TEST(ProgramTest, DrawsAPicture) {
  Record record({"epoch", "loss", "model"});
  record.add({std::int64_t{1}, 2.5, std::string("a")});
  record.add({std::int64_t{2}, 1.5, std::string("a")});
  CommonOptions options;
  options.plot_path = temporary("plot.png");
  write_outputs(record, {.title = "losses", .by = {"model"}}, options);
  std::ifstream picture(options.plot_path, std::ios::binary);
  std::string magic(8, ' ');
  picture.read(magic.data(), 8);
  EXPECT_EQ(magic, "\x89PNG\r\n\x1a\n");
  EXPECT_TRUE(std::filesystem::remove(temporary("plot.csv")));
  std::filesystem::remove(options.plot_path);
}

TEST(ProgramTest, SaysThatAPictureCannotBeDrawn) {
  Record record({"model"});
  record.add({std::string("a")});
  CommonOptions options;
  options.plot_path = temporary("nothing.png");
  EXPECT_THROW(write_outputs(record, {}, options), std::runtime_error);
  std::filesystem::remove(temporary("nothing.csv"));
}

// Widths that fastai's documentation and the fastbook print.
TEST(EmbeddingWidthTest, IsFastais) {
  EXPECT_EQ(embedding_width(3), 3);
  EXPECT_EQ(embedding_width(4), 3);
  EXPECT_EQ(embedding_width(8), 5);
  EXPECT_EQ(embedding_width(944), 74);
  EXPECT_EQ(embedding_width(1635), 101);
  EXPECT_EQ(embedding_width(1'000'000), 600);
}

TEST(CollabModelsTest, ListsTheNamesWhenOneIsUnknown) {
  EXPECT_EQ(find_collab_recipe("nn").weight_decay, 0.01);
  try {
    find_collab_recipe("svd");
    FAIL() << "no error";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "no model is called 'svd'; there are dot-product, dot-product-range, bias, "
                 "bias-decay, parameters, learner, nn, learner-nn, bias-decay-indexed");
  }
}

}  // namespace
}  // namespace rowlane::examples
