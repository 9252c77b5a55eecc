// The models that turn counts into figures: the L2 cache and the time on a named device.
#include <gtest/gtest.h>

#include <cstdint>

#include "cuda/simt/emulated/emulator.h"
#include "cuda/simt/runtime.cuh"

namespace rowlane::simt {
namespace {

using emulated::L2Model;
using emulated::LaunchCounts;
using emulated::ScopedOptions;

TEST(L2Model, ServesRepeatsThatFit) {
  L2Model model(1 << 20);
  for (int i = 0; i < 3; ++i) {
    model.read(4096, 1 << 19);
  }
  EXPECT_EQ(model.total().dram_read_bytes, 1 << 19);
  EXPECT_EQ(model.total().read_sectors, 3 << 14);
  EXPECT_EQ(model.total().hit_sectors, 2 << 14);
}

TEST(L2Model, FetchesAgainWhatDoesNotFit) {
  L2Model model(1 << 20);
  for (int i = 0; i < 2; ++i) {
    model.read(0, 8 << 20);
  }
  EXPECT_EQ(model.total().dram_read_bytes, 16 << 20);
}

TEST(L2Model, WholeSectorsAreWrittenWithoutReading) {
  L2Model model(1 << 20);
  model.write(0, 1 << 16);
  model.write_back();
  EXPECT_EQ(model.total().dram_read_bytes, 0);
  EXPECT_EQ(model.total().dram_write_bytes, 1 << 16);
  model.write_back();
  EXPECT_EQ(model.total().dram_write_bytes, 1 << 16);
}

TEST(L2Model, PartlyWrittenSectorsCostARead) {
  L2Model model(1 << 20);
  model.write(0, 16);
  model.write(40, 8);
  model.write(32, 8);
  model.write(48, 16);  // completes the second sector
  model.write_back();
  EXPECT_EQ(model.total().dram_read_bytes, 32);
  EXPECT_EQ(model.total().dram_write_bytes, 64);
}

TEST(L2Model, EvictFirstProtectsTheRest) {
  const auto reread_misses = [](Hint hint) {
    L2Model model(1 << 20);
    model.read(0, 1 << 19);
    model.write(1 << 30, 8 << 20, hint);
    const std::int64_t before = model.total().dram_read_bytes;
    model.read(0, 1 << 19);
    return model.total().dram_read_bytes - before;
  };
  EXPECT_EQ(reread_misses(Hint::kNone), 1 << 19);
  EXPECT_LT(reread_misses(Hint::kEvictFirst), 1 << 15);
}

TEST(L2Model, WritesAreChargedToTheLastWriter) {
  L2Model model(1 << 20);
  const int first = model.begin_traffic();
  model.write(0, 4096);
  const int second = model.begin_traffic();
  model.read(0, 4096);
  model.write(2048, 2048);
  model.write_back();
  EXPECT_EQ(model.traffic(first).dram_write_bytes, 2048);
  EXPECT_EQ(model.traffic(second).dram_write_bytes, 2048);
  EXPECT_EQ(model.traffic(second).dram_read_bytes, 0);
}

TEST(TimeModel, NamesWhatBoundsALaunch) {
  const emulated::DeviceModel& device = *emulated::find_device("h100");
  LaunchCounts tiny{.name = "tiny", .launches = 1, .blocks = 1, .block_threads = 32};
  EXPECT_STREQ(modelled_time(tiny, device).bound_by, "launch");

  LaunchCounts stream = tiny;
  stream.blocks = 1 << 20;
  stream.l2.dram_read_bytes = stream.l2.dram_write_bytes = 1LL << 30;
  EXPECT_STREQ(modelled_time(stream, device).bound_by, "DRAM bandwidth");
  EXPECT_NEAR(modelled_time(stream, device).dram_us, 2147.5 / 3.35, 1);

  LaunchCounts hot = tiny;
  hot.l2.longest_atomic_chain = 1 << 20;
  EXPECT_STREQ(modelled_time(hot, device).bound_by, "atomics on one address");

  // One block with a thousand dependent loads waits for each of them; many blocks wait at once.
  LaunchCounts chain = tiny;
  chain.longest_load_chain = chain.load_rounds = 1000;
  EXPECT_STREQ(modelled_time(chain, device).bound_by, "dependent loads");
  LaunchCounts many = chain;
  many.blocks = 1 << 16;
  many.load_rounds = 1000LL << 16;
  EXPECT_STREQ(modelled_time(many, device).bound_by, "loads in flight");
}

TEST(TimeModel, KnowsItsDevices) {
  for (const char* name : {"h100", "a100", "b200", "l4"}) {
    const emulated::DeviceModel* device = emulated::find_device(name);
    ASSERT_NE(device, nullptr) << name;
    ScopedOptions scoped;
    scoped->device = device;
    kernels::DeviceInfo info;
    ASSERT_TRUE(device_info(&info).ok());
    EXPECT_EQ(info.num_sms, device->info.num_sms);
    scoped->l2_scale = 0.5;
    ASSERT_TRUE(device_info(&info).ok());
    EXPECT_EQ(info.l2_bytes, device->info.l2_bytes / 2);
  }
  EXPECT_EQ(emulated::find_device("h1000"), nullptr);
}

}  // namespace
}  // namespace rowlane::simt
