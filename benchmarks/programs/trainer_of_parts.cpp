// SPDX-License-Identifier: MIT
// The program with no more of Fulgurite than it uses: tells what the headers cost that it does not.
#include <torch/torch.h>

#include <fulgurite/core.hpp>
#include <fulgurite/data/tensor_batches.hpp>
#include <fulgurite/optim/adamw.hpp>

#include "trainer.hpp"

int main(int argc, char** argv) { with_trainer::train(argc, argv); }
