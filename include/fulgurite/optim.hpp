// SPDX-License-Identifier: MIT
// Every optimizer.
#pragma once

#include "optim/adam.hpp"
#include "optim/adamw.hpp"
#include "optim/gradients.hpp"
#include "optim/optimizer.hpp"
#include "optim/parameters.hpp"
#include "optim/sgd.hpp"
#include "optim/torch_optimizer.hpp"
#include "optim/torch_rates.hpp"
