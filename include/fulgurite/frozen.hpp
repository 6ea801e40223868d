// SPDX-License-Identifier: MIT
// One training step, recorded and replayed.
#pragma once

#include "frozen/batch_signature.hpp"
#include "frozen/frozen_refusal.hpp"
#include "frozen/frozen_steps.hpp"
#include "frozen/tape.hpp"
#include "frozen/verification.hpp"
