// Thread numbers in words: "threads 0-31,40".
#pragma once

#include <string>
#include <vector>

namespace rowlane::simt::emulated {

// `threads` ascends.
inline std::string thread_list(const std::vector<int>& threads) {
  std::string text = threads.size() == 1 ? "thread " : "threads ";
  for (std::size_t i = 0; i < threads.size();) {
    std::size_t end = i + 1;
    while (end < threads.size() && threads[end] == threads[end - 1] + 1) {
      ++end;
    }
    text.append(i == 0 ? "" : ",").append(std::to_string(threads[i]));
    if (end - i > 1) {
      text.append("-").append(std::to_string(threads[end - 1]));
    }
    i = end;
  }
  return text;
}

}  // namespace rowlane::simt::emulated
