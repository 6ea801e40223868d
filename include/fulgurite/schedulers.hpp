// SPDX-License-Identifier: MIT
// Every learning-rate schedule.
#pragma once

#include "schedulers/cosine_annealing.hpp"
#include "schedulers/lambda_schedule.hpp"
#include "schedulers/one_cycle.hpp"
#include "schedulers/scheduler.hpp"
#include "schedulers/step_decay.hpp"
