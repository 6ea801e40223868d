// SPDX-License-Identifier: MIT
// Every optimizer.
#pragma once

#include "optim/adadelta.hpp"
#include "optim/adafactor.hpp"
#include "optim/adagrad.hpp"
#include "optim/adam.hpp"
#include "optim/adamax.hpp"
#include "optim/adamw.hpp"
#include "optim/asgd.hpp"
#include "optim/betas.hpp"
#include "optim/gradients.hpp"
#include "optim/lbfgs.hpp"
#include "optim/lion.hpp"
#include "optim/muon.hpp"
#include "optim/nadam.hpp"
#include "optim/optimizer.hpp"
#include "optim/parameters.hpp"
#include "optim/radam.hpp"
#include "optim/rmsprop.hpp"
#include "optim/rprop.hpp"
#include "optim/sgd.hpp"
#include "optim/torch_optimizer.hpp"
