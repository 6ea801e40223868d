// SPDX-License-Identifier: MIT
// What programs/trainer.cpp trains, by hand on LibTorch: the program beside which that one is compiled and run.
#include "by_hand.hpp"

int main(int argc, char** argv) {
  by_hand::train(
      argc, argv, [](auto parameters) { return torch::optim::AdamW(parameters, torch::optim::AdamWOptions(1e-3)); },
      [](auto& model, auto&) { torch::nn::utils::clip_grad_norm_(model.parameters(), 1.0); });
}
