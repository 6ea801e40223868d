// SPDX-License-Identifier: MIT
// Every policy: what can stand among the template arguments of fg::Trainer<Model, Policies...>.
#pragma once

#include "policies/accumulation.hpp"
#include "policies/batch_limit.hpp"
#include "policies/callback.hpp"
#include "policies/clipping.hpp"
#include "policies/conflicts.hpp"
#include "policies/device.hpp"
#include "policies/execution.hpp"
#include "policies/limits.hpp"
#include "policies/non_finite.hpp"
#include "policies/optimization.hpp"
#include "policies/policy.hpp"
#include "policies/policy_set.hpp"
#include "policies/precision.hpp"
#include "policies/scheduler_interval.hpp"
#include "policies/validation.hpp"
