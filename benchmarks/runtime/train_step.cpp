// SPDX-License-Identifier: MIT
// One training step of a small network: the loop one writes by hand on LibTorch, that loop with our optimizer, and the
// trainer. All three clip by norm and use AdamW. Forward and backward pass alone show what no eager step can go below.
#include <torch/torch.h>

#include <cstdint>
#include <string>

#include <fulgurite/fulgurite.hpp>

#include "support/compare.hpp"

namespace {

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Network : nn::Module {
  explicit Network(std::int64_t width)
      : net(register_module("net", nn::Sequential{nn::Linear(32, width), nn::ReLU(), nn::Linear(width, width), nn::ReLU(),
                                                  nn::Linear(width, 10)})) {}

  torch::Tensor training_step(const fg::Example& batch, auto&) {
    return nn::functional::cross_entropy(net->forward(batch.data), batch.target);
  }
  auto configure_optimizers() { return fg::AdamW(parameters(), {.lr = 1e-3}); }

  nn::Sequential net;
};

void compare_width(std::int64_t width) {
  torch::manual_seed(0);
  const fg::Example batch{torch::randn({32, 32}), torch::randint(10, {32}, torch::kLong)};

  Network by_hand(width);
  torch::optim::AdamW torch_adamw(by_hand.parameters(), torch::optim::AdamWOptions(1e-3));
  const auto loss_of = [&](Network& network) {
    return nn::functional::cross_entropy(network.net->forward(batch.data), batch.target);
  };

  Network by_hand_fused(width);
  fg::AdamW fused_adamw(by_hand_fused.parameters(), {.lr = 1e-3});

  Network not_updated(width);

  Network trained(width);
  fg::Trainer trainer{trained, fg::ClipNorm{.max = 1.0}};
  auto loop = trainer.loop();

  benchmarks::print("MLP 32-" + std::to_string(width) + "-" + std::to_string(width) + "-10, batch 32, AdamW, ClipNorm",
                    benchmarks::compare({
                        {"by hand, torch::optim::AdamW",
                         [&] {
                           torch_adamw.zero_grad();
                           loss_of(by_hand).backward();
                           nn::utils::clip_grad_norm_(by_hand.parameters(), 1.0);
                           torch_adamw.step();
                         }},
                        {"by hand, fg::AdamW",
                         [&] {
                           fused_adamw.zero_grad();
                           loss_of(by_hand_fused).backward();
                           fused_adamw.gradients().clip_norm(1.0, 2.0);
                           fused_adamw.step();
                         }},
                        {"fg::Trainer, loop.step(batch)", [&] { loop.step(batch); }},
                        {"forward and backward pass alone",
                         [&] {
                           not_updated.zero_grad();
                           loss_of(not_updated).backward();
                         }},
                    }));
}

}  // namespace

int main() {
  torch::set_num_threads(1);
  for (const std::int64_t width : {16, 64, 256}) compare_width(width);
}
