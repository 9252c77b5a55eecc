// Everything that Rowlane offers to a LibTorch program.
#pragma once

#include "rowlane/aten.h"
#include "rowlane/embedding.h"
#include "rowlane/index_errors.h"
#include "rowlane/nn/embedding.h"
#include "rowlane/nn/functional/embedding.h"
