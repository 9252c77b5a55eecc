#include "csrc/device/index_errors.h"

#include <ATen/EmptyTensor.h>
#include <c10/util/Exception.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "csrc/device/stream.h"
#include "csrc/ops/index_errors.h"
#include "rowlane/index_errors.h"

namespace rowlane::device {
namespace {

using kernels::IndexReport;

// The reports of all ops on all devices, each made when it is first needed and kept for good:
// captured graphs hold on to them.
class IndexReports {
 public:
  static IndexReports& instance() {
    static auto* const reports = new IndexReports;  // outlives every device
    return *reports;
  }

  IndexReport* report_of(std::string_view op, c10::Device device) {
    const std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.device == device && entry.op == op) {
        return entry.report;
      }
    }
    at::TensorBase memory = at::detail::empty_cpu({sizeof(IndexReport)}, at::kByte, kPinned);
    auto* const report = ::new (memory.mutable_data_ptr()) IndexReport;
    entries_.push_back({.op = op, .device = device, .memory = memory, .report = report});
    return report;
  }

  // Throws for the first report that is complete, and makes room for the next.
  void raise_recorded() {
    const std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_) {
      if (kernels::read_index_report(entry.report).is_complete != 0) {
        raise(entry);
      }
    }
  }

  void synchronize() {
    {
      const std::lock_guard lock(mutex_);
      for (const Entry& entry : entries_) {
        synchronize_device(entry.device);
      }
    }
    raise_recorded();
  }

 private:
  struct Entry {
    std::string_view op;
    c10::Device device;
    at::TensorBase memory;
    IndexReport* report;
  };

  [[noreturn]] static void raise(const Entry& entry) {
    // So that the count is whole, and no kernel that may write the report is under way.
    synchronize_device(entry.device);
    const IndexReport found = kernels::read_index_report(entry.report);
    *entry.report = {};
    const std::string others =
        found.num_bad > 1 ? c10::str(", and so are ", found.num_bad - 1, " more") : "";
    const std::string table = found.table > 0 ? c10::str(" of table ", found.table) : "";
    const std::string from =
        found.first_row > 0 ? c10::str(" here, from row ", found.first_row, " on") : "";
    TORCH_CHECK_INDEX(false, entry.op, ": index ", found.index, " at position ", found.position,
                      table, " is out of range: the table has ", found.num_rows, " rows", from,
                      others);
  }

  std::mutex mutex_;
  std::vector<Entry> entries_;
};

[[maybe_unused]] const bool registered = [] {
  ops::set_synchronize([] { IndexReports::instance().synchronize(); });
  return true;
}();

}  // namespace

IndexCheck::IndexCheck(const char* op, c10::Device device) : device_(device) {
  IndexReports& reports = IndexReports::instance();
  reports.raise_recorded();
  if (index_errors() != IndexErrors::kOff) {
    report_ = reports.report_of(op, device);
  }
}

void IndexCheck::finish() const {
  if (index_errors() == IndexErrors::kChecked && !is_capturing(device_)) {
    synchronize_stream(device_);
    IndexReports::instance().raise_recorded();
  }
}

}  // namespace rowlane::device
