// SPDX-License-Identifier: MIT
// Everything a user needs.
#pragma once

#include <torch/torch.h>

#include "averaging.hpp"
#include "callbacks.hpp"
#include "checkpoint.hpp"
#include "core.hpp"
#include "data.hpp"
#include "frozen.hpp"
#include "optim.hpp"
