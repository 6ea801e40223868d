// SPDX-License-Identifier: MIT
// One training step of a small network: the loop one writes by hand on LibTorch, that loop with our optimizer, and the
// latter recorded and replayed. All three clip by norm and use AdamW.
#include <torch/torch.h>

#include <cstdint>
#include <string>

#include <fulgurite/frozen.hpp>
#include <fulgurite/optim.hpp>

#include "support/compare.hpp"

namespace {

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Network {
  explicit Network(std::int64_t width)
      : net(nn::Linear(32, width), nn::ReLU(), nn::Linear(width, width), nn::ReLU(), nn::Linear(width, 10)) {}

  torch::Tensor loss(const torch::Tensor& x, const torch::Tensor& y) {
    return nn::functional::cross_entropy(net->forward(x), y);
  }

  nn::Sequential net;
};

void compare_width(std::int64_t width) {
  torch::manual_seed(0);
  const auto x = torch::randn({32, 32});
  const auto y = torch::randint(10, {32}, torch::kLong);
  const auto next_x = x.clone();
  const auto next_y = y.clone();

  Network by_hand(width);
  torch::optim::AdamW torch_adamw(by_hand.net->parameters(), torch::optim::AdamWOptions(1e-3));

  const auto step = [&](Network& network, fg::AdamW& adamw) {
    adamw.zero_grad();
    const auto loss = network.loss(x, y);
    loss.backward();
    adamw.gradients().clip_norm(1.0);
    adamw.step();
    return loss;
  };
  Network eager(width);
  fg::AdamW eager_adamw(eager.net->parameters(), {.lr = 1e-3}, fg::Contiguous{});
  Network frozen(width);
  fg::AdamW frozen_adamw(frozen.net->parameters(), {.lr = 1e-3}, fg::Contiguous{});
  step(frozen, frozen_adamw);
  const auto tape =
      fg::Tape::record([&] { return step(frozen, frozen_adamw); }, {x, y}, frozen.net->parameters());

  benchmarks::print("MLP 32-" + std::to_string(width) + "-" + std::to_string(width) + "-10, batch 32, AdamW, norm clipping",
                    benchmarks::compare({
                        {"by hand, torch::optim::AdamW",
                         [&] {
                           torch_adamw.zero_grad();
                           by_hand.loss(x, y).backward();
                           nn::utils::clip_grad_norm_(by_hand.net->parameters(), 1.0);
                           torch_adamw.step();
                         }},
                        {"by hand, fg::AdamW, contiguous", [&] { step(eager, eager_adamw); }},
                        {"the same, replayed, with a batch copied in",
                         [&] {
                           x.copy_(next_x);
                           y.copy_(next_y);
                           tape.replay();
                         }},
                    }));
}

}  // namespace

int main() {
  torch::set_num_threads(1);
  for (const std::int64_t width : {16, 64, 256}) compare_width(width);
}
