// SPDX-License-Identifier: MIT
// One training step of a small network: the loop one writes by hand on LibTorch, that loop with our optimizer, and the
// latter recorded and replayed. All three clip by norm and use AdamW. And what a replay spends its time on, also for the
// convolutional net and the transformer of the peers.
#include <torch/torch.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/frozen.hpp>
#include <fulgurite/optim.hpp>

#include "peers/problems.hpp"
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

/// What an operator is there for.
std::string part_of(const std::string& name) {
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  if (has("convolution")) return "convolutions";
  if (has("attention")) return "attention";
  if (has("mm.out") || has("addmm")) return "matrix products";
  if (has("max_pool")) return "pooling";
  if (has("layer_norm")) return "layer norms";
  if (has("gelu")) return "GELU";
  if (has("embedding")) return "embeddings";
  if (has("softmax") || has("nll_loss")) return "loss";
  if (has("_fused_")) return "update";
  if (has("sum")) return "gradients of biases";
  if (has("clamp_min.out") || has("threshold")) return "ReLU";
  if (has("norm") || has("div_") || has("clamp_min_")) return "clipping";
  return "sums and copies";
}

/// Where a replay spends its time: medians over replays.
void print_parts(const fg::Tape& tape) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<double>> times(tape.size());
  for (int replay = 0; replay < 2001; ++replay) {
    auto last = Clock::now();
    tape.replay([&](std::size_t i) {
      const auto now = Clock::now();
      times[i].push_back(std::chrono::duration<double, std::micro>(now - last).count());
      last = now;
    });
  }
  std::map<std::string, std::pair<int, double>> parts;
  double total = 0.0;
  for (std::size_t i = 0; i < tape.size(); ++i) {
    const double time = benchmarks::median(times[i]);
    auto& [operators, sum] = parts[part_of(tape.operator_name(i))];
    ++operators;
    sum += time;
    total += time;
  }
  std::printf("  of a replay\n");
  for (const auto& [part, what] : parts) {
    std::printf("    %-36s %3d operators %5.1f %%\n", part.c_str(), what.first, 100.0 * what.second / total);
  }
  std::printf("\n");
}

template <class Network>
void print_parts(const char* title, const peers::Batch& batch) {
  Network network;
  peers::initialize(network);
  fg::AdamW adamw(network.parameters(), {.lr = 1e-3});
  const auto step = [&] {
    const auto loss = network.loss(batch);
    adamw.zero_grad();
    loss.backward();
    adamw.gradients().clip_norm(1.0);
    adamw.step();
  };
  step();
  std::printf("%s\n", title);
  print_parts(fg::Tape::record(step, {batch.data, batch.target}, network.parameters()));
}

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
  print_parts(tape);
}

}  // namespace

int main() {
  torch::set_num_threads(1);
  for (const std::int64_t width : {16, 64, 256}) compare_width(width);
  const auto images = torch::rand({32, 64}).as_strided({32, 1, 8, 8}, {64, 1, 8, 1});  // channels last
  print_parts<peers::DigitsNet>("Digits, convolutional, batch 32", {images, torch::randint(10, {32})});
  print_parts<peers::Transformer>("Transformer of width 64, batch 8",
                                  {torch::randint(peers::tokens, {8, peers::length}),
                                   torch::randint(peers::tokens, {8, peers::length})});
}
