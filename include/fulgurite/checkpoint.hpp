// SPDX-License-Identifier: MIT
// What is kept of a training.
#pragma once

#include "checkpoint/training.hpp"
#include "checkpoint/weights.hpp"
