// SPDX-License-Identifier: MIT
// Law: k equal micro-batches in one window make the step of one batch, whatever the optimizer and the
// clipping.
#include <torch/torch.h>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <fulgurite/fulgurite.hpp>

#include <cstdint>
#include <vector>

namespace fg = fulgurite;

namespace {

template <class Optimizer>
struct Model : torch::nn::Module {
  torch::nn::Sequential net;

  Model() {
    torch::manual_seed(2);
    net = register_module(
        "net", torch::nn::Sequential{torch::nn::Linear(6, 9), torch::nn::Tanh(), torch::nn::Linear(9, 3)});
    to(torch::kDouble);
  }
  torch::Tensor training_step(const fg::Example& batch, auto&) {
    return torch::nn::functional::mse_loss(net->forward(batch.data), batch.target);
  }
  auto configure_optimizers() { return fg::optimizer(Optimizer(parameters(), {.lr = 0.02})); }
};

struct Momentum : fg::SGD {
  Momentum(std::vector<torch::Tensor> parameters, fg::SGDOptions options)
      : SGD(std::move(parameters), {.lr = options.lr, .momentum = 0.9}) {}
};

std::vector<fg::Example> make_batches() {
  torch::manual_seed(4);
  std::vector<fg::Example> batches;
  for (int i = 0; i < 6; ++i) {
    auto x = torch::randn({12, 6}, torch::kDouble);
    auto y = torch::randn({12, 3}, torch::kDouble);
    batches.emplace_back(x, y);
  }
  return batches;
}

std::vector<fg::Example> repeated(const std::vector<fg::Example>& batches, int times) {
  std::vector<fg::Example> all;
  for (const auto& batch : batches) all.insert(all.end(), static_cast<std::size_t>(times), batch);
  return all;
}

std::vector<fg::Example> cut(const std::vector<fg::Example>& batches, std::int64_t pieces) {
  std::vector<fg::Example> all;
  for (const auto& batch : batches) {
    const auto data = batch.data.chunk(pieces);
    const auto target = batch.target.chunk(pieces);
    for (std::size_t i = 0; i < data.size(); ++i) all.emplace_back(data[i], target[i]);
  }
  return all;
}

template <class Optimizer, class... Policies>
std::vector<torch::Tensor> trained(const std::vector<fg::Example>& batches, Policies... policies) {
  Model<Optimizer> model;
  fg::Trainer trainer{model, fg::MaxEpochs{3}, policies...};
  trainer.fit(batches);
  return model.parameters();
}

void require_close(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b,
                   double tolerance) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK((a[i] - b[i]).abs().max().item<double>() <= tolerance);
}

template <class Optimizer, class... Clipping>
void require_law(Clipping... clipping) {
  const auto batches = make_batches();
  const auto expected = trained<Optimizer>(batches, clipping...);
  // A quarter four times is a whole, bit for bit; a third three times is one but for rounding.
  require_close(trained<Optimizer>(repeated(batches, 4), fg::Accumulate<4>{}, clipping...), expected, 0.0);
  require_close(trained<Optimizer>(repeated(batches, 3), fg::Accumulate<3>{}, clipping...), expected, 1e-11);
  require_close(trained<Optimizer>(cut(batches, 4), fg::Accumulate<4>{}, clipping...), expected, 1e-11);
  // The window that the epoch's end cuts short is a mean too: 6 batches make one step of 8's window.
  const std::vector<fg::Example> same(6, batches[0]);
  require_close(trained<Optimizer>(same, fg::Accumulate<8>{}, clipping...),
                trained<Optimizer>({batches[0]}, clipping...), 1e-11);
}

}  // namespace

TEMPLATE_TEST_CASE("equal micro-batches make the step of one batch", "", fg::SGD, Momentum, fg::Adam,
                   fg::AdamW) {
  SECTION("without clipping") {
    require_law<TestType>();
  }
  SECTION("with a clipped norm") {
    require_law<TestType>(fg::ClipNorm{.max = 0.3});
  }
  SECTION("with clipped values") {
    require_law<TestType>(fg::ClipValue{.max = 0.02});
  }
}
