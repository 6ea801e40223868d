// SPDX-License-Identifier: MIT
// Every hook: the members that a model (or a callback) may have, by phase, each header with the order of its calls.
#pragma once

#include "hooks/batch.hpp"
#include "hooks/checkpoint.hpp"
#include "hooks/configure.hpp"
#include "hooks/epoch.hpp"
#include "hooks/fit.hpp"
#include "hooks/gradients.hpp"
#include "hooks/logging.hpp"
#include "hooks/misspelt.hpp"
#include "hooks/validation.hpp"
