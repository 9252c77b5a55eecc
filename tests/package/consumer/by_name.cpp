// Knows the op by its name alone: no header of the library, none of its symbols.
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>

#include <exception>
#include <iostream>

int main() {
  try {
    const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("rowlane::embedding", "");
    const at::Tensor table = at::arange(6, at::kFloat).reshape({3, 2});
    c10::Stack stack{table, at::full({1}, 2, at::kLong), c10::IValue(), false, false, false,
                     "auto"};
    op.callBoxed(stack);
    const at::Tensor row = stack.back().toTensor();
    std::cout << "row 2: " << row[0][0].item<float>() << ' ' << row[0][1].item<float>() << '\n';
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
