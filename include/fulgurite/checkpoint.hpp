// SPDX-License-Identifier: MIT
// What is kept of a training.
#pragma once

#include "checkpoint/weights.hpp"
