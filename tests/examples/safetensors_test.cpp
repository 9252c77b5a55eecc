// Safetensors files: every dtype comes back, and what is wrong in a file is told with its place.
#include "examples/support/safetensors.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "temporary_directory.h"

namespace rowlane::testing {
namespace {

using examples::SafetensorsFile;
using examples::write_safetensors;

// A file with this header and so many bytes of data.
std::string file_content(const std::string& header, std::size_t num_bytes) {
  const std::uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header +
         std::string(num_bytes, '\0');
}

TEST(Safetensors, KeepsEveryDtypeAndShape) {
  const TemporaryDirectory directory;
  const at::Tensor numbers = torch::arange(-3, 9).reshape({3, 4});
  std::map<std::string, at::Tensor> tensors = {
      {"scalar", torch::tensor(2.5F)},
      {"empty", torch::empty({0, 4})},
      {"transposed", numbers.to(at::kFloat).t()},
  };
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong,
                                     at::kInt, at::kShort, at::kChar, at::kByte, at::kBool}) {
    tensors[std::string("as ") + c10::toString(dtype)] = numbers.to(dtype);
  }
  write_safetensors(directory.file("t"), tensors);
  const SafetensorsFile file(directory.file("t"));
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    names.push_back(name);
    const at::Tensor read = file.read(name);
    EXPECT_EQ(read.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(read.sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(read.equal(tensor)) << name;
  }
  EXPECT_EQ(file.names(), names);
}

TEST(Safetensors, ReadsWhatTheFormatPrescribes) {
  const TemporaryDirectory directory;
  std::string content = file_content(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"I32","shape":[1,2],"data_offsets":[2,10]},)"
      R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}   )",
      0);
  const std::int32_t integers[] = {-7, 1 << 30};
  content += std::string("\x05\xff", 2) + std::string(reinterpret_cast<const char*>(integers), 8);
  const SafetensorsFile file(directory.write("t", content));
  EXPECT_EQ(file.names(), std::vector<std::string>({"a", "b"}));
  EXPECT_TRUE(file.read("a").equal(torch::tensor({5, 255}, at::kByte)));
  EXPECT_TRUE(file.read("b").equal(torch::tensor({{-7, 1 << 30}}, at::kInt)));
}

TEST(Safetensors, AlignsItsTensors) {
  const TemporaryDirectory directory;
  write_safetensors(directory.file("t"), {{"a name", torch::ones({3})}});
  EXPECT_EQ((content_of(directory.file("t")).size() - 3 * sizeof(float)) % 8, 0);
}

TEST(Safetensors, TellsWhereAFileIsWrong) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("t").string();
  struct Case {
    std::string content;
    const char* error;
  };
  const Case cases[] = {
      {"abc", "offset 0: a safetensors file begins with 8 bytes, the file has 3"},
      {file_content("{}", 0).substr(0, 9),
       "offset 0: the header should have 2 bytes; the file has 9: is it a safetensors file, and "
       "complete?"},
      {file_content("[]", 0), "offset 8: the header must be a JSON object"},
      {file_content(R"({"a":x})", 0), "offset 14: the header isn't JSON: "},
      {file_content(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4),
       "offset 8: the header's entry \"a\": its bytes should be 0 to 8 of 4"},
      {file_content(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4),
       "offset 8: the header's entry \"a\": its shape and dtype don't make the 4 bytes that it "
       "has"},
      // 4 bytes times 3 times this is 4 again in 64 bits.
      {file_content(R"({"a":{"dtype":"F32","shape":[3,3074457345618258603],"data_offsets":[0,4]}})",
                    4),
       "offset 8: the header's entry \"a\": its shape and dtype don't make the 4 bytes that it "
       "has"},
      {file_content(R"({"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}})", 4),
       "offset 8: the header's entry \"a\": its shape and dtype don't make the 4 bytes that it "
       "has"},
      {file_content(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4),
       "offset 8: the header's entry \"a\": its bytes should be -4 to 0 of 4"},
      {file_content(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4),
       "offset 8: the header's entry \"a\": its bytes should be 4 to 0 of 4"},
      {file_content(R"({"a":{"dtype":"F32","shape":[1]}})", 4),
       "offset 8: the header's entry \"a\": "},
  };
  for (const Case& wrong : cases) {
    directory.write("t", wrong.content);
    const std::string error = message_of([&] { const SafetensorsFile file(path); });
    EXPECT_EQ(error.substr(0, path.size() + 2 + std::string(wrong.error).size()),
              path + ": " + wrong.error);
  }
}

TEST(Safetensors, SaysThatAFileCannotBeReadOrWritten) {
  const TemporaryDirectory directory;
  const std::string folder = directory.path().string();
  EXPECT_EQ(message_of([&] { const SafetensorsFile file(folder); }), "cannot read " + folder);
  EXPECT_EQ(message_of([&] { const SafetensorsFile file(folder + "/t"); }),
            "cannot read " + folder + "/t");
  EXPECT_EQ(message_of([&] {
              write_safetensors(folder, {{"a", torch::ones({1})}});
            }),
            "cannot write " + folder);
}

TEST(Safetensors, ListsTheNamesThatThereAre) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("t").string();
  write_safetensors(path, {{"one", torch::ones({1})}, {"two", torch::ones({1})}});
  EXPECT_EQ(message_of([&] { SafetensorsFile(path).read("three"); }),
            path + " has no tensor \"three\"; it has one, two");
}

TEST(Safetensors, ReadsATableBesideTensorsOfOtherTypes) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("t").string();
  for (const std::string type : {"F8_E4M3", "F8_E5M2", "U16", "U32", "U64", "C64", "F4"}) {
    std::string entry = R"("a":{"dtype":")" + type + R"(","shape":[3],"data_offsets":[0,4]})";
    directory.write(
        "t",
        file_content("{" + entry + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8));
    const SafetensorsFile file(path);
    EXPECT_EQ(file.names(), std::vector<std::string>({"a", "b"}));
    EXPECT_TRUE(file.read("b").equal(torch::zeros({1})));
    EXPECT_EQ(message_of([&] { file.read("a"); }),
              std::string(path)
                  .append(": the tensor \"a\": its dtype must be one of F64, F32, F16, BF16, I64, "
                          "I32, I16, I8, U8, BOOL, got ")
                  .append(type));
  }
}

TEST(Safetensors, TellsThatTheFileHasShrunk) {
  const TemporaryDirectory directory;
  write_safetensors(directory.file("t"), {{"a", torch::ones({4})}});
  const SafetensorsFile file(directory.file("t"));
  const auto size = std::filesystem::file_size(directory.file("t"));
  std::filesystem::resize_file(directory.file("t"), size - 1);
  EXPECT_EQ(message_of([&] { file.read("a"); }), directory.file("t").string() + ": offset " +
                                                     std::to_string(size - 16) +
                                                     ": cannot read the tensor \"a\"");
}

TEST(Safetensors, RefusesADtypeThatTheFormatLacks) {
  const TemporaryDirectory directory;
  EXPECT_EQ(message_of([&] {
              write_safetensors(directory.file("t"), {{"z", torch::ones({1}, at::kComplexFloat)}});
            }),
            "write_safetensors: the dtype of z must be one of F64, F32, F16, BF16, I64, I32, I16, "
            "I8, U8, BOOL, got ComplexFloat");
}

}  // namespace
}  // namespace rowlane::testing
