// SPDX-License-Identifier: MIT
// Data, from files and tensors to the batches that `fit` takes; any other range of batches trains as well.
#pragma once

#include "concepts/batches.hpp"
#include "data/batch.hpp"
#include "data/collate.hpp"
#include "data/csv.hpp"
#include "data/example.hpp"
#include "data/order.hpp"
#include "data/prefetch.hpp"
#include "data/random_order.hpp"
#include "data/short_batch.hpp"
#include "data/shuffle.hpp"
#include "data/split.hpp"
#include "data/tensor_batches.hpp"
#include "data/tensor_dataset.hpp"
