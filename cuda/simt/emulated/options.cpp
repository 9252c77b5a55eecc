#include "cuda/simt/emulated/options.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace rowlane::simt::emulated {
namespace {

[[noreturn]] void reject(std::string_view what, std::string_view text) {
  throw std::invalid_argument("ROWLANE_EMULATOR: " + std::string(what) + " '" + std::string(text) +
                              "'");
}

template <typename T>
void parse_number(std::string_view text, T* value) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *value);
  if (error != std::errc() || stop != end) {
    reject("not a number:", text);
  }
}

void parse_bool(std::string_view text, bool* value) {
  if (text != "0" && text != "1") {
    reject("neither 0 nor 1:", text);
  }
  *value = text == "1";
}

Order parse_order(std::string_view text) {
  if (text == "in_order") {
    return Order::kInOrder;
  }
  if (text == "reversed") {
    return Order::kReversed;
  }
  if (text == "shuffled") {
    return Order::kShuffled;
  }
  reject("not an order:", text);
}

void parse_field(std::string_view name, std::string_view value, Options* options) {
  const struct {
    std::string_view name;
    bool* value;
  } flags[] = {
      {"check_shared_races", &options->check_shared_races},
      {"check_global_races", &options->check_global_races},
      {"check_initialised", &options->check_initialised},
      {"allow_host_memory", &options->allow_host_memory},
      {"poison", &options->poison},
      {"l1", &options->l1},
  };
  for (const auto& flag : flags) {
    if (name == flag.name) {
      parse_bool(value, flag.value);
      return;
    }
  }
  const struct {
    std::string_view name;
    int* value;
  } numbers[] = {
      {"preempt_every", &options->preempt_every},
      {"host_threads", &options->host_threads},
      {"interleaved_blocks", &options->interleaved_blocks},
      {"dram_fetch_bytes", &options->dram_fetch_bytes},
  };
  for (const auto& number : numbers) {
    if (name == number.name) {
      parse_number(value, number.value);
      return;
    }
  }
  if (name == "order") {
    options->order = parse_order(value);
  } else if (name == "seed") {
    parse_number(value, &options->seed);
  } else if (name == "max_block_accesses") {
    parse_number(value, &options->max_block_accesses);
  } else if (name == "l2_scale") {
    parse_number(value, &options->l2_scale);
  } else if (name == "device") {
    options->device = find_device(value);
    if (options->device == nullptr) {
      reject("no such device:", value);
    }
  } else {
    reject("no such option:", name);
  }
}

}  // namespace

Options parse_options(std::string_view text, Options options) {
  while (!text.empty()) {
    const std::string_view field = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), field.size() + 1));
    const std::size_t equals = field.find('=');
    if (equals == std::string_view::npos) {
      reject("no value in", field);
    }
    parse_field(field.substr(0, equals), field.substr(equals + 1), &options);
  }
  return options;
}

Options& options() {
  static Options instance = [] {
    const char* text = std::getenv("ROWLANE_EMULATOR");
    return parse_options(text == nullptr ? "" : text);
  }();
  return instance;
}

}  // namespace rowlane::simt::emulated
