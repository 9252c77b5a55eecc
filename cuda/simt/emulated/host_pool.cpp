#include "cuda/simt/emulated/host_pool.h"

namespace rowlane::simt::emulated {

HostPool::~HostPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

void HostPool::run(int num_workers, const std::function<void(int)>& work) {
  {
    const std::lock_guard lock(mutex_);
    while (static_cast<int>(threads_.size()) < num_workers - 1) {
      const int worker = static_cast<int>(threads_.size()) + 1;
      threads_.emplace_back([this, worker] { serve(worker); });
    }
    work_ = &work;
    num_workers_ = num_workers;
    num_running_ = num_workers - 1;
    ++round_;
  }
  changed_.notify_all();
  work(0);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return num_running_ == 0; });
}

void HostPool::serve(int worker) {
  std::uint64_t served = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || (round_ != served && worker < num_workers_); });
    if (stopping_) {
      return;
    }
    served = round_;
    lock.unlock();
    (*work_)(worker);
    lock.lock();
    if (--num_running_ == 0) {
      changed_.notify_all();
    }
  }
}

}  // namespace rowlane::simt::emulated
