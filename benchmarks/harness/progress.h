// Tells on stderr what is being done.
#pragma once

#include <string>

namespace rowlane::bench {

// One line that is overwritten when stderr is a terminal; otherwise a line per workload.
class Progress {
 public:
  // `program` begins each line where stderr is no terminal.
  explicit Progress(std::string program);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // "gpt2-llmc (4 of 6)".
  void begin_workload(const std::string& title);
  void step(const std::string& text);
  // Before something else is printed.
  void clear();

 private:
  std::string program_;
  bool is_terminal_;
  std::string title_;
};

}  // namespace rowlane::bench
