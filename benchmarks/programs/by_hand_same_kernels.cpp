// SPDX-License-Identifier: MIT
// programs/by_hand.cpp with the optimizer and the clipping that programs/trainer.cpp uses, but without trainer: what the
// trainer itself takes of memory.
#include <fulgurite/fulgurite.hpp>

#include "by_hand.hpp"

int main(int argc, char** argv) {
  by_hand::train(
      argc, argv, [](auto parameters) { return fulgurite::AdamW(parameters, {.lr = 1e-3}); },
      [](auto&, auto& optimizer) { optimizer.gradients().clip_norm(1.0); });
}
