// Host threads that stay alive between launches.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace rowlane::simt::emulated {

class HostPool {
 public:
  ~HostPool();

  // Calls work(0) .. work(num_workers - 1) at once, work(0) on the calling thread, and waits for
  // all.
  void run(int num_workers, const std::function<void(int)>& work);

 private:
  void serve(int worker);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::thread> threads_;
  const std::function<void(int)>* work_ = nullptr;
  int num_workers_ = 0;
  int num_running_ = 0;
  std::uint64_t round_ = 0;
  bool stopping_ = false;
};

}  // namespace rowlane::simt::emulated
