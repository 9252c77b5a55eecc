// The result of a call into device code: success, or a sentence that says what went wrong.
#pragma once

#include <string>
#include <utility>

namespace rowlane::kernels {

// Device code never throws and never aborts; its host functions return a Status, and the caller
// turns an error into whatever its own language of errors is (the torch glue raises c10::Error).
class [[nodiscard]] Status {
 public:
  Status() = default;

  static Status error(std::string message) {
    Status status;
    status.message_ = std::move(message);
    return status;
  }

  [[nodiscard]] bool ok() const { return message_.empty(); }
  // Empty when ok().
  [[nodiscard]] const std::string& message() const { return message_; }

 private:
  std::string message_;
};

}  // namespace rowlane::kernels

// Returns from the enclosing function when `expr` is an error.
#define ROWLANE_RETURN_IF_ERROR(expr)                                 \
  do {                                                                \
    if (::rowlane::kernels::Status status_ = (expr); !status_.ok()) { \
      return status_;                                                 \
    }                                                                 \
  } while (false)
