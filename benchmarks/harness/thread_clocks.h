// The processor time of each thread of this process.
#pragma once

#include <ctime>
#include <vector>

namespace rowlane::bench {

// Measures by the longest time that one thread spends on a processor. While other programs take the
// processors away, it still says how long a parallel call would take without them, as long as
// threads that wait for others sleep (OMP_WAIT_POLICY=passive). It leaves out what it takes to wake
// them.
class ThreadClocks {
 public:
  void start();
  double stop_ms();

 private:
  struct ThreadClock {
    clockid_t id;
    double start_ms;
  };

  void find_threads();

  std::vector<ThreadClock> clocks_;
  int num_calls_ = 0;
};

}  // namespace rowlane::bench
