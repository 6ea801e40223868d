// SPDX-License-Identifier: MIT
// The program with everything that Fulgurite has.
#include <fulgurite/fulgurite.hpp>

#include "trainer.hpp"

int main(int argc, char** argv) { with_trainer::train(argc, argv); }
