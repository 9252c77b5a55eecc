// The bound that memory sets: what a call has to move, moved with nothing to compute.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

namespace rowlane::bench {

struct Streams {
  std::int64_t copied_bytes = 0;  // written; as many are read,
  std::int64_t source_bytes = 0;  // from this much memory, over and over
  std::int64_t zero_bytes = 0;    // written
  std::int64_t read_bytes = 0;    // read and not written

  // What most of the bytes are: "copy", "zeros" or "read".
  [[nodiscard]] std::string name() const;
};

// Moves the streams from end to end of its memory, which lies in huge pages, dealt evenly to
// torch's threads. What is written goes past the cache where Rowlane's results do.
class StreamRunner {
 public:
  explicit StreamRunner(const Streams& streams);
  void run() const;

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  using Memory = std::unique_ptr<char[], Free>;
  static Memory allocate(std::int64_t bytes);

  Streams streams_;
  Memory source_;
  Memory read_;
  Memory out_;
};

// What torch's threads move together, in 1e9 bytes per second, over 256 MiB: the best of some
// tries.
struct Bandwidth {
  int threads = 0;
  double copy_gb_per_s = 0.0;  // bytes that are written; as many are read
  double fill_gb_per_s = 0.0;  // with data
  double zero_gb_per_s = 0.0;
  double read_gb_per_s = 0.0;
};
Bandwidth measure_bandwidth();

// "memory, 2 threads: copy 15, fill 35, zeros 35, read 20 GB/s"
std::string describe(const Bandwidth& bandwidth);

}  // namespace rowlane::bench
