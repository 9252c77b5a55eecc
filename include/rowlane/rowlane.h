// Everything that Rowlane offers to a LibTorch program.
#pragma once

#include "rowlane/aten.h"
#include "rowlane/embedding.h"
#include "rowlane/huge_pages.h"
#include "rowlane/index_errors.h"
#include "rowlane/nn/embedding.h"
#include "rowlane/nn/functional/embedding.h"
#include "rowlane/optim/adagrad.h"
#include "rowlane/optim/adam.h"
#include "rowlane/optim/adamw.h"
#include "rowlane/optim/lamb.h"
#include "rowlane/optim/partial_rowwise_adam.h"
#include "rowlane/optim/row_optimizer.h"
#include "rowlane/optim/row_options.h"
#include "rowlane/optim/rowwise_adagrad.h"
#include "rowlane/optim/sgd.h"
#include "rowlane/optim/sparse_adam.h"
