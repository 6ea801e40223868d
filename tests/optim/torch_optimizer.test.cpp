// SPDX-License-Identifier: MIT
#include <fulgurite/optim/torch_optimizer.hpp>

#include <torch/torch.h>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/checkpoint.hpp>
#include <fulgurite/fulgurite.hpp>

#include <cstddef>
#include <filesystem>
#include <limits>
#include <optional>
#include <ostream>
#include <vector>

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {
template <class Make>
struct Fit : nn::Module {
  explicit Fit(Make make_optimizer) : make(make_optimizer) {
    torch::NoGradGuard no_grad;
    line->weight.fill_(0.0);
    line->bias.fill_(0.0);
  }
  Make make;
  nn::Linear line = register_module("line", nn::Linear(1, 1));

  torch::Tensor training_step(const fg::Example& batch, auto&) {
    return nn::functional::mse_loss(line->forward(batch.data), batch.target);
  }
  auto configure_optimizers() { return make(parameters()); }
};

fg::Example batch() {
  auto x = torch::linspace(-1, 1, 16).unsqueeze(1);
  return {x, 2 * x + 1};
}

template <class Make, class... Policies>
double loss_after(int epochs, Make make, Policies... policies) {
  Fit<Make> model(make);
  fg::Trainer trainer{model, fg::MaxEpochs{epochs}, policies...};
  std::vector<fg::Example> data{batch()};
  trainer.fit(data);
  return nn::functional::mse_loss(model.line->forward(batch().data), batch().target).template item<double>();
}
}  // namespace

TEST_CASE("any of LibTorch's optimizers trains, bare or configured") {
  CHECK(loss_after(300, [](auto p) { return torch::optim::RMSprop(p, 1e-2); }) < 1e-3);
  CHECK(loss_after(300, [](auto p) { return torch::optim::Adam(p, torch::optim::AdamOptions(5e-2)); }, fg::ClipNorm{}) < 1e-3);
  CHECK(loss_after(300, [](auto p) {
          return fg::optimizer(torch::optim::SGD(p, torch::optim::SGDOptions(0.1).momentum(0.9)))
              .lr_scheduler(fg::StepLR{.step_size = 100}, fg::EveryStep{});
        }) < 1e-3);
}

TEST_CASE("LBFGS runs the closure as often as it likes") {
  CHECK(loss_after(5, [](auto p) { return torch::optim::LBFGS(p, torch::optim::LBFGSOptions(1.0)); }) < 1e-8);
}

TEST_CASE("rates and momenta of LibTorch's optimizers can be driven") {
  auto p = torch::ones({1}).requires_grad_();
  const std::vector<torch::Tensor> parameters{p};
  fg::TorchOptimizer adam(torch::optim::Adam(parameters, torch::optim::AdamOptions(0.1)));
  adam.set_lr(0, 0.3);
  adam.set_momentum(0, 0.7);
  CHECK(adam.lr(0) == 0.3);
  CHECK(adam.momentum(0) == 0.7);
  fg::TorchOptimizer sgd(torch::optim::SGD(parameters, torch::optim::SGDOptions(0.1).momentum(0.9)));
  sgd.set_momentum(0, 0.5);
  CHECK(sgd.momentum(0) == 0.5);
  sgd.set_momentum(0, 1.0);
  CHECK(sgd.momentum(0) == 1.0);
  sgd.set_momentum(0, 0.0);
  CHECK(sgd.momentum(0) == 0.0);
  CHECK_FALSE(fg::HasMomentum<fg::TorchOptimizer<torch::optim::Adagrad>>);
  CHECK(fg::TorchOptimizer<torch::optim::SGD>::name == "SGD");
  CHECK(sgd.gradients().tensors().empty());
}

namespace {

/// A table of which each batch looks up a few rows.
template <class Optimizer>
struct Table : nn::Module {
  nn::Embedding table;
  nn::Linear out = register_module("out", nn::Linear(4, 1));
  double factor = 1.0;

  explicit Table(bool sparse)
      : table(register_module("table", nn::Embedding(nn::EmbeddingOptions(30, 4).sparse(sparse)))) {
    torch::manual_seed(3);
    table->reset_parameters();
    out->reset_parameters();
  }

  torch::Tensor training_step(const fg::Example& batch, auto&) {
    return factor * nn::functional::mse_loss(out->forward(table->forward(batch.data).mean(1)), batch.target);
  }
  void on_before_optimizer_step(auto&, auto& step) { step.log_dict(fg::gradient_norms(*this)); }
  auto configure_optimizers() { return Optimizer(parameters(), 0.1); }
};

std::vector<fg::Example> lookups() {
  torch::manual_seed(9);
  std::vector<fg::Example> all;
  for (int i = 0; i < 8; ++i) all.emplace_back(torch::randint(30, {6, 3}), torch::randn({6, 1}));
  return all;
}

/// A loss scale, without autocast.
struct Scaled {
  using slot = fg::slots::Precision;
  static constexpr fg::NumberFormat parameters = fg::NumberFormat::float64;
  static constexpr fg::NumberFormat autocast = fg::NumberFormat::unchanged;

  constexpr fg::LossScaleOptions loss_scale() const { return {.initial_scale = 1024.0, .growth_interval = 3}; }
  [[maybe_unused]] friend constexpr bool operator==(Scaled, Scaled) { return true; }
  [[maybe_unused]] friend std::ostream& operator<<(std::ostream& out, Scaled) { return out << "Scaled"; }
};

template <class Optimizer>
torch::Tensor table_after(bool sparse, auto... policies) {
  Table<Optimizer> model(sparse);
  fg::Trainer trainer{model, fg::MaxEpochs{2}, policies...};
  trainer.fit(lookups());
  CHECK(model.table->weight.grad().is_sparse() == sparse);
  CHECK(trainer.metric("grad_2.0_norm/table.weight"));
  return model.table->weight.detach().clone();
}

template <class Optimizer>
bool sparse_is_dense(auto... policies) {
  return torch::allclose(table_after<Optimizer>(true, policies...), table_after<Optimizer>(false, policies...), 1e-5, 1e-6);
}

}  // namespace

TEMPLATE_TEST_CASE("a sparse gradient trains what a dense one does, under every policy", "", torch::optim::SGD,
                   torch::optim::Adagrad) {
  CHECK(sparse_is_dense<TestType>());
  CHECK(sparse_is_dense<TestType>(fg::Accumulate<3>{}));
  CHECK(sparse_is_dense<TestType>(fg::ClipNorm{.max = 0.05}));
  CHECK(sparse_is_dense<TestType>(fg::ClipNorm{.max = 0.05, .norm_type = std::numeric_limits<double>::infinity()}));
  CHECK(sparse_is_dense<TestType>(fg::ClipValue{.max = 0.01}));
  CHECK(sparse_is_dense<TestType>(Scaled{}, fg::ClipNorm{.max = 0.05}));
  CHECK(sparse_is_dense<TestType>(Scaled{}, fg::Accumulate<3>{}));
}

TEST_CASE("a loss that is not finite names the sparse gradient that it makes") {
  Table<torch::optim::SGD> model(true);
  model.factor = std::numeric_limits<double>::quiet_NaN();
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(trainer.fit(lookups()), Catch::Matchers::ContainsSubstring("first non-finite gradient: table.weight"));
}

TEST_CASE("an optimizer that takes no sparse gradient says so, before it is clipped") {
  struct Ours : Table<fg::SGD> {
    using Table::Table;
    auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
  } model(true);
  const auto before = model.table->weight.detach().clone();
  fg::Trainer trainer{model, fg::ClipNorm{.max = 0.1}, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(trainer.fit(lookups()), Catch::Matchers::ContainsSubstring(
                                                "SGD was given a sparse gradient for parameter 0, which its kernel cannot "
                                                "take"));
  CHECK(model.table->weight.equal(before));
}

TEST_CASE("an LBFGS of LibTorch without a loss points to the one that can leave a batch out") {
  const auto p = torch::ones({2}).requires_grad_();
  const auto no_loss = [] { return std::optional<torch::Tensor>(); };
  fg::TorchOptimizer torchs(torch::optim::LBFGS({p}));
  CHECK_THROWS_WITH(torchs.step(no_loss),
                    "fulgurite: torch::optim::LBFGS needs a loss in every evaluation: fg::LBFGS can leave a batch out");
  fg::LBFGS({p}, {}).step(no_loss);
  CHECK(p.equal(torch::ones({2})));
}

TEST_CASE("a checkpoint in an open window keeps sparse gradients, bit for bit") {
  const auto data = lookups();
  const auto path = std::filesystem::temp_directory_path() / "fulgurite_sparse_window.ckpt";
  Table<torch::optim::SGD> straight(true), resumed(true);
  const auto trainer_for = [](auto& model) { return fg::Trainer{model, fg::Accumulate<4>{}, fg::MaxEpochs{1}}; };
  auto first = trainer_for(straight);
  auto loop = first.loop();
  for (std::size_t i = 0; i < 6; ++i) loop.step(data[i]);
  fg::save_checkpoint(first, path);
  auto second = trainer_for(resumed);
  fg::load_checkpoint(second, path);
  std::filesystem::remove(path);
  CHECK(resumed.table->weight.grad().is_sparse());
  CHECK(resumed.table->weight.grad().to_dense().equal(straight.table->weight.grad().to_dense()));
  auto rest = second.loop();
  for (std::size_t i = 6; i < 8; ++i) {
    loop.step(data[i]);
    rest.step(data[i]);
  }
  CHECK(resumed.table->weight.equal(straight.table->weight));
  CHECK(resumed.out->weight.equal(straight.out->weight));
}
