// Symbol visibility of the library.
#pragma once

#define ROWLANE_EXPORT __attribute__((visibility("default")))
