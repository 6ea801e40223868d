// SPDX-License-Identifier: MIT
// Averages of a model's weights over its training, with or without a trainer.
#pragma once

#include "averaging/averaged_model.hpp"
#include "averaging/mean.hpp"
#include "averaging/swapped_weights.hpp"
#include "averaging/update_bn.hpp"
