// SPDX-License-Identifier: MIT
// Everything a user needs.
#pragma once

#include "averaging.hpp"
#include "callbacks.hpp"
#include "checkpoint.hpp"
#include "core.hpp"
#include "data.hpp"
#include "frozen.hpp"
#include "optim.hpp"
