// SPDX-License-Identifier: MIT
// Every callback.
#pragma once

#include "callbacks/callback.hpp"
#include "callbacks/progress_bar.hpp"
