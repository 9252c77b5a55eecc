// Tables of Rowlane lie in huge pages, where the system has them; memory of others is left alone.
#include "rowlane/huge_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <torch/torch.h>

#include <bit>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include "rowlane/nn/embedding.h"
#include "rowlane/optim/adagrad.h"
#include "rowlane/optim/sparse_adam.h"
#include "tests/support/devices.h"

namespace rowlane {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

std::uintptr_t parse_address(const std::string& text) {
  std::uintptr_t address = 0;
  std::from_chars(text.data(), text.data() + text.size(), address, 16);
  return address;
}

// Of the memory that the tensor's bytes lie in, what /proc/self/smaps says in a line of this name.
std::string line_of(const at::Tensor& tensor, const std::string& name) {
  const auto middle = std::bit_cast<std::uintptr_t>(tensor.data_ptr()) + tensor.nbytes() / 2;
  std::ifstream maps("/proc/self/smaps");
  bool is_here = false;
  for (std::string line; std::getline(maps, line);) {
    const std::size_t dash = line.find('-');
    if (dash != std::string::npos && dash < line.find(' ')) {
      is_here = parse_address(line) <= middle && middle < parse_address(line.substr(dash + 1));
    } else if (is_here && line.starts_with(name + ":")) {
      return line.substr(name.size() + 1);
    }
  }
  return "";
}

// Whether it has been asked for.
bool is_advised(const at::Tensor& tensor) {
  return line_of(tensor, "VmFlags").find(" hg") != std::string::npos;
}

class HugePages : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::runs_device_code(torch::kCPU)) {
      GTEST_SKIP() << "the emulated device has an allocator of its own";
    }
    std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
    std::string modes;
    std::getline(file, modes);
    if (modes.empty() || modes.find("[never]") != std::string::npos) {
      GTEST_SKIP() << "the system has no transparent huge pages: '" << modes << "'";
    }
  }
};

TEST_F(HugePages, HoldWhatWasWrittenBefore) {
  const at::Tensor table = torch::arange(16 * kMiB, torch::kInt32);
  const at::Tensor expected = table.clone();
  use_huge_pages(table);
  EXPECT_TRUE(is_advised(table));
  EXPECT_TRUE(table.equal(expected));
}

TEST_F(HugePages, HoldTheTableOfAModuleAndTheStateOfItsOptimizer) {
  nn::Embedding table(200'000, 64);
  EXPECT_TRUE(is_advised(table->weight));
  optim::SparseAdam optimizer({table->weight}, optim::SparseAdamOptions(0.1));
  table->fuse(optimizer);
  table->forward(torch::tensor({1, 5})).sum().backward();
  optimizer.step();
  const auto& state = static_cast<const optim::SparseAdamParamState&>(
      *optimizer.state().at(table->weight.unsafeGetTensorImpl()));
  EXPECT_TRUE(is_advised(state.exp_avg()));
  EXPECT_TRUE(is_advised(state.exp_avg_sq()));
}

TEST_F(HugePages, HoldTheStateThatTorchMakesAndThatAnArchiveBrings) {
  nn::Embedding table(200'000, 64);
  optim::Adagrad optimizer({table->weight});
  table->fuse(optimizer);
  const auto sum = [&] {
    return static_cast<const optim::AdagradParamState&>(
               *optimizer.state().at(table->weight.unsafeGetTensorImpl()))
        .sum();
  };
  EXPECT_TRUE(is_advised(sum()));
  std::stringstream archive;
  torch::save(optimizer, archive);
  torch::load(optimizer, archive);
  EXPECT_TRUE(is_advised(sum()));
}

TEST_F(HugePages, AreNotForATableThatAModuleIsGiven) {
  nn::Embedding table = nn::Embedding::from_pretrained(
      torch::randn({200'000, 64}), nn::EmbeddingFromPretrainedOptions().freeze(false));
  EXPECT_FALSE(is_advised(table->weight));
}

TEST_F(HugePages, AreNotForMemoryThatTorchDidNotAllocate) {
  constexpr std::int64_t kBytes = 32 * kMiB;
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const at::Tensor table = torch::from_blob(memory, {kBytes}, torch::kByte);
  use_huge_pages(table);
  EXPECT_FALSE(is_advised(table));
  munmap(memory, kBytes);
}

TEST_F(HugePages, AreNotForSmallTables) {
  const at::Tensor table = torch::zeros({4 * kMiB}, torch::kByte);
  use_huge_pages(table);
  EXPECT_FALSE(is_advised(table));
  use_huge_pages(torch::empty({0}));
  use_huge_pages(torch::empty({16 * kMiB}, torch::TensorOptions().device("meta")));
}

}  // namespace
}  // namespace rowlane
