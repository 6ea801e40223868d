// SPDX-License-Identifier: MIT
// EXPECT: fg::LBFGS evaluates the loss several times a step: call step\(closure\)
// EXPECT: See docs/errors/closure\.md
#include <fulgurite/optim/lbfgs.hpp>

namespace fg = fulgurite;

void train(fg::LBFGS& lbfgs) { lbfgs.step(); }
