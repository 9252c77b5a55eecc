#include "harness/format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace rowlane::bench {
namespace {

std::string print(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

// Three significant digits, without an exponent.
std::string three_digits(double value) {
  if (value >= 99.95) {
    return print("%.0f", value);
  }
  return value >= 9.995 ? print("%.1f", value) : print("%.2f", value);
}

struct Unit {
  double size;
  const char* name;
};

// `units` from the largest to the smallest.
template <std::size_t N>
std::string in_units(double value, const std::array<Unit, N>& units) {
  for (const Unit& unit : units) {
    if (value >= 0.9995 * unit.size) {
      return three_digits(value / unit.size) + " " + unit.name;
    }
  }
  return three_digits(value / units.back().size) + " " + units.back().name;
}

std::size_t num_characters(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string padding(const std::string& text, std::size_t width) {
  const std::size_t length = num_characters(text);
  return std::string(width > length ? width - length : 0, ' ');
}

}  // namespace

std::string format_ms(double ms) {
  constexpr std::array<Unit, 4> kUnits = {{{1e3, "s"}, {1.0, "ms"}, {1e-3, "us"}, {1e-6, "ns"}}};
  return in_units(ms, kUnits);
}

std::string format_bytes(std::int64_t bytes) {
  constexpr std::array<Unit, 4> kUnits = {{{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1.0, "B"}}};
  return in_units(static_cast<double>(bytes), kUnits);
}

std::string format_count(std::int64_t count) {
  const std::string digits = std::to_string(count);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) {
      grouped += ',';
    }
    grouped += digits[i];
  }
  return grouped;
}

std::string format_ratio(double ratio) {
  return ratio < 0.095 ? print("1/%.0f", 1.0 / ratio) : three_digits(ratio) + "x";
}

std::string format_rate(double gb_per_s) {
  return gb_per_s < 0.0995 ? print("%.3f", gb_per_s) : three_digits(gb_per_s);
}

std::string format_error(double error) { return error == 0.0 ? "0" : print("%.1e", error); }

std::string dtype_name(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Float:
      return "float32";
    case c10::ScalarType::Double:
      return "float64";
    case c10::ScalarType::Half:
      return "float16";
    case c10::ScalarType::BFloat16:
      return "bfloat16";
    case c10::ScalarType::Int:
      return "int32";
    case c10::ScalarType::Long:
      return "int64";
    default:
      return c10::toString(dtype);
  }
}

std::string format_problem(const Problem& problem) {
  std::string shape;
  for (const std::int64_t size : problem.index_shape) {
    shape += (shape.empty() ? "" : " x ") + format_count(size);
  }
  std::string text = format_count(problem.num_rows) + " x " + format_count(problem.dim) + " " +
                     dtype_name(problem.dtype) + ", " + shape + " " +
                     dtype_name(problem.index_dtype) + " indices, " + problem.indices.label();
  if (problem.scale < 1.0) {
    text += ", scale 1/" + print("%.0f", 1.0 / problem.scale);
  }
  return text;
}

std::string pad_left(const std::string& text, std::size_t width) {
  return padding(text, width) + text;
}

std::string pad_right(const std::string& text, std::size_t width) {
  return text + padding(text, width);
}

}  // namespace rowlane::bench
