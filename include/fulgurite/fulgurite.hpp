// SPDX-License-Identifier: MIT
// Everything a user needs; fg::Frozen and fg::Tape have an umbrella of their own, <fulgurite/frozen.hpp>, since only who
// uses them should pay the time to compile them.
#pragma once

#include <torch/torch.h>

#include "averaging.hpp"
#include "callbacks.hpp"
#include "checkpoint.hpp"
#include "core.hpp"
#include "data.hpp"
#include "optim.hpp"
