// Numbers and columns for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "workloads/workload.h"

namespace rowlane::bench {

std::string format_ms(double ms);               // "812 ns", "12.3 us", "2.31 ms", "45 s"
std::string format_bytes(std::int64_t bytes);   // decimal: "6.5 GB"
std::string format_count(std::int64_t count);   // "1,000,000"
std::string format_ratio(double ratio);         // "3.21x"; below a tenth "1/250"
std::string format_rate(double gb_per_s);       // "21.8", "0.03"
std::string format_error(double error);         // "0", "1.2e-07"
std::string dtype_name(c10::ScalarType dtype);  // "float32"
std::string format_problem(const Problem& problem);

// Padded with spaces to `width` characters (not bytes), which may already be exceeded.
std::string pad_left(const std::string& text, std::size_t width);
std::string pad_right(const std::string& text, std::size_t width);

}  // namespace rowlane::bench
