// Threads: they are used, and they never change a result.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "rowlane/embedding.h"
#include "tests/support/devices.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

class NumThreads {
 public:
  explicit NumThreads(int n) : before_(torch::get_num_threads()) { torch::set_num_threads(n); }
  ~NumThreads() { torch::set_num_threads(before_); }
  NumThreads(const NumThreads&) = delete;
  NumThreads& operator=(const NumThreads&) = delete;

 private:
  int before_;
};

// Nanoseconds of processor time of each thread of this process, by the kernel's account.
std::map<std::string, std::int64_t> thread_times() {
  std::map<std::string, std::int64_t> times;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::int64_t nanoseconds = 0;
    std::ifstream(task.path() / "schedstat") >> nanoseconds;
    times[task.path().filename()] = nanoseconds;
  }
  return times;
}

// How many threads did at least a tenth of the work of `work`.
template <typename Work>
int threads_that_worked(Work&& work) {
  work();  // the pool is started
  const auto before = thread_times();
  work();
  std::int64_t total = 0;
  auto spent = thread_times();
  for (auto& [thread, time] : spent) {
    const auto it = before.find(thread);
    time -= it == before.end() ? 0 : it->second;
    total += time;
  }
  int count = 0;
  for (const auto& [thread, time] : spent) {
    count += 10 * time > total ? 1 : 0;
  }
  return count;
}

struct Case {
  const char* name;
  std::int64_t num_rows;
  std::int64_t dim;
  std::int64_t num_indices;
  double hot_share;  // of the indices that name row 3
};

class Threads : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    torch::manual_seed(5);
    const Case& c = GetParam();
    indices = torch::randint(c.num_rows, {c.num_indices}, torch::kLong);
    indices.masked_fill_(torch::rand({c.num_indices}) < c.hot_share, 3);
    weight = torch::randn({c.num_rows, c.dim}).requires_grad_();
    grad_output = torch::randn({c.num_indices, c.dim});
  }

  torch::Tensor gradient() {
    return torch::autograd::grad({rowlane::embedding(weight, indices)}, {weight}, {grad_output})[0];
  }

  torch::Tensor indices;
  torch::Tensor weight;
  torch::Tensor grad_output;
};

TEST_P(Threads, GradientIsTheSameToTheBitForAnyNumber) {
  torch::Tensor reference;
  for (const int n : {1, 2, 3, 5}) {
    const NumThreads guard(n);
    for (int repeat = 0; repeat < 3; ++repeat) {
      const auto grad = gradient();
      reference = reference.defined() ? reference : grad;
      EXPECT_TRUE(bit_equal(grad, reference)) << n << " threads";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllSkews, Threads,
                         ::testing::Values(Case{"Uniform", 5000, 33, 20000, 0},
                                           Case{"HalfOnOneRow", 5000, 33, 20000, 0.5},
                                           Case{"HalfOnOneOfManyRows", 50000, 33, 60000, 0.5},
                                           Case{"AllOnOneRow", 2000, 100, 20000, 1},
                                           Case{"ManyRowsFewIndices", 200000, 8, 50, 0},
                                           Case{"FewRowsManyIndices", 4, 7, 100000, 0},
                                           Case{"DimOne", 1000, 1, 100000, 0.9}),
                         [](const auto& info) { return info.param.name; });

TEST(ThreadPool, TwoThreadsShareTheForwardAndTheBackward) {
  if (cpu_is_emulated_device()) {
    GTEST_SKIP() << "the CPU is the emulated device here";
  }
  const NumThreads guard(2);
  torch::manual_seed(5);
  const auto weight = torch::randn({20000, 256}).requires_grad_();
  const auto indices = torch::randint(20000, {40000}, torch::kLong);
  EXPECT_EQ(threads_that_worked([&] {
              const torch::NoGradGuard no_grad;
              for (int i = 0; i < 20; ++i) {
                rowlane::embedding(weight, indices);
              }
            }),
            2);
  const auto rows = rowlane::embedding(weight, indices);
  const auto grad_output = torch::randn_like(rows);
  EXPECT_EQ(threads_that_worked([&] {
              for (int i = 0; i < 10; ++i) {
                torch::autograd::grad({rows}, {weight}, {grad_output}, /*retain_graph=*/true);
              }
            }),
            2);
}

}  // namespace
}  // namespace rowlane::testing
