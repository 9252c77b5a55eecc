// Text files as any system writes them.
//
// Every reader of text here accepts a byte order mark of UTF-8 at the beginning, lines that end in
// a line feed or in a carriage return and a line feed, and a last line without an end. A file that
// can't be opened, or is a folder, is refused with "cannot read PATH".
#pragma once

#include <charconv>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace rowlane::examples {

inline constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The whole file without its byte order mark.
std::string read_text(const std::filesystem::path& path);

std::vector<std::string> read_lines(const std::filesystem::path& path);

// Takes the first line off `text`, and returns it without its end.
std::string_view take_line(std::string_view& text);

std::vector<std::string_view> split_at_white_space(std::string_view text);

// Nothing unless all of `text` is one number that fits. A float may be "nan" or "inf".
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number)
                                                                  : std::nullopt;
}

// The beginning of a text, to be shown in an error.
inline std::string beginning(std::string_view text) { return std::string(text.substr(0, 60)); }

}  // namespace rowlane::examples
