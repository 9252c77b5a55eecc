// Tuning files.
#include "cuda/tuning.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace rowlane::kernels {
namespace {

struct Field {
  std::string_view name;
  std::int64_t Tuning::*value;
  std::int64_t least;
  std::int64_t most;
};

constexpr std::array<Field, 2> kFields{{
    {"small_max_indices", &Tuning::small_max_indices, 0, kSmallMaxIndices},
    {"tile_sort_max_indices", &Tuning::tile_sort_max_indices, kMaxBlockSort, kMaxTileSort},
}};
constexpr std::string_view kDevice = "device";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  return begin == std::string_view::npos
             ? std::string_view{}
             : text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// The part of *text before `separator`; *text becomes the part after it.
std::string_view take_until(std::string_view* text, char separator) {
  const std::size_t end = std::min(text->find(separator), text->size());
  const std::string_view part = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return part;
}

Status set_field(std::string_view name, std::string_view value, Tuning* tuning) {
  const auto* const field =
      std::find_if(kFields.begin(), kFields.end(), [&](const Field& f) { return f.name == name; });
  if (field == kFields.end()) {
    return Status::error("there is no setting '" + std::string(name) + "'");
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < field->least ||
      number > field->most) {
    return Status::error(std::string(name) + " must be a number from " +
                         std::to_string(field->least) + " to " + std::to_string(field->most) +
                         ", got '" + std::string(value) + "'");
  }
  tuning->*(field->value) = number;
  return {};
}

}  // namespace

std::string format_tuning(const Tuning& tuning, std::string_view device) {
  std::string text = std::string(kDevice) + " = " + std::string(device) + "\n";
  for (const Field& field : kFields) {
    text += std::string(field.name) + " = " + std::to_string(tuning.*(field.value)) + "\n";
  }
  return text;
}

Status parse_tuning(std::string_view text, std::string_view device, Tuning* tuning) {
  Tuning parsed;
  bool is_for_device = false;
  for (int number = 1; !text.empty(); ++number) {
    std::string_view line = take_until(&text, '\n');
    std::string_view setting = trimmed(take_until(&line, '#'));
    if (setting.empty()) {
      continue;
    }
    const std::string_view name = trimmed(take_until(&setting, '='));
    const std::string_view value = trimmed(setting);
    if (name == kDevice) {
      if (value != device) {
        return Status::error("is for the device '" + std::string(value) + "', not for '" +
                             std::string(device) + "'");
      }
      is_for_device = true;
    } else if (const Status status = set_field(name, value, &parsed); !status.ok()) {
      return Status::error("line " + std::to_string(number) + ": " + status.message());
    }
  }
  if (!is_for_device) {
    return Status::error("does not name its device");
  }
  *tuning = parsed;
  return {};
}

}  // namespace rowlane::kernels
