// SPDX-License-Identifier: MIT
// When a fit validates and when it ends, as docs/reference/policies and docs/reference/callbacks show it.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <iostream>
#include <vector>

namespace fg = fulgurite;

namespace {

struct Net : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(4, 1));
  int validations = 0;

  torch::Tensor loss(const fg::Example& batch) {
    return torch::mse_loss(layer->forward(batch.data), batch.target);
  }
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) { return loss(batch); }
  void validation_step(const fg::Example& batch, auto& step) { step.log("val_loss", loss(batch)); }
  void on_validation_end(auto& /*step*/) { ++validations; }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.05}); }
};

std::vector<fg::Example> make_batches(int count) {
  std::vector<fg::Example> batches;
  for (int i = 0; i < count; ++i) {
    const auto x = torch::randn({16, 4});
    batches.emplace_back(x, x.sum(1, true));
  }
  return batches;
}

using Batches = std::vector<fg::Example>;

void limits(const Batches& train, const Batches& validation) {
  Net model;
  // [limits]
  fg::Trainer trainer{model, fg::MaxEpochs{20}, fg::MinSteps{30},
                      fg::LimitBatches{.train = fg::Fraction{0.5}}};
  trainer.fit(train, validation);
  trainer.set_limit(fg::MaxEpochs{40});  // goes on from there
  trainer.fit(train, validation);
  // [/limits]
  std::cout << "epochs: " << trainer.progress().epoch << ", steps: " << trainer.progress().global_step
            << '\n';
}

void every(const Batches& train, const Batches& validation) {
  Net model;
  // [every]
  fg::Trainer trainer{model, fg::ValidateEvery{.interval = fg::Fraction{0.25}}, fg::SanityCheck{},
                      fg::MaxEpochs{2}};
  trainer.fit(train, validation);  // after batches 10, 20, 30 and 40 of each epoch
  // [/every]
  std::cout << "validations: " << model.validations << '\n';
}

void test_range(const Batches& train, const Batches& validation, const Batches& test) {
  Net model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  // [test]
  trainer.fit(train, validation);
  trainer.validate(test, "test_");
  std::cout << *trainer.metric("val_loss") << " and " << *trainer.metric("test_val_loss") << '\n';
  // [/test]
}

void own_loop(const Batches& train, const Batches& validation) {
  Net model;
  fg::Trainer trainer{model};
  // [own-loop]
  auto loop = trainer.loop();
  for (const auto& batch : train) {
    loop.step(batch);
    if (loop.progress().batch % 10 == 0) loop.validate(validation);
  }
  loop.end_epoch();
  // [/own-loop]
  std::cout << "validations: " << model.validations << '\n';
}

void early_stopping(const Batches& train, const Batches& validation) {
  Net model;
  // [early-stopping]
  using Stopping = fg::EarlyStopping<"val_loss">;
  fg::Trainer trainer{model, Stopping{.patience = 2, .min_delta = 1e-3}, fg::MaxEpochs{100}};
  trainer.fit(train, validation);
  const Stopping& stopping = trainer.callback<Stopping>();
  std::cout << "best " << *stopping.best_score << ", stopped by " << stopping.reason << '\n';
  // [/early-stopping]
}

}  // namespace

int main() {
  torch::manual_seed(0);
  const auto train = make_batches(40);
  const auto validation = make_batches(5);
  limits(train, validation);
  every(train, validation);
  test_range(train, validation, make_batches(5));
  own_loop(train, validation);
  early_stopping(train, validation);
}
