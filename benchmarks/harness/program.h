// What every benchmark program ends in.
#pragma once

#include <c10/util/Exception.h>

#include <cstdlib>
#include <exception>
#include <iostream>

namespace rowlane::bench {

// The exit status of body(), a program's work after its command line; an exception is told on
// stderr, begun with the program's name.
template <typename Body>
int run_program(const char* program, Body&& body) {
  try {
    return body();
  } catch (const c10::Error& error) {
    std::cerr << "\n" << program << ": " << error.what_without_backtrace() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "\n" << program << ": " << error.what() << "\n";
  }
  return EXIT_FAILURE;
}

}  // namespace rowlane::bench
