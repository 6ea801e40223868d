// SPDX-License-Identifier: MIT
#include <fulgurite/callbacks/progress_bar.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/fulgurite.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

namespace {
struct Line : torch::nn::Module {
  torch::nn::Linear line = register_module("line", torch::nn::Linear(1, 1));
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = line->forward(batch.data).pow(2).mean();
    step.log("loss", loss, fg::prog_bar);
    step.log("hidden", 1.0);
    return loss;
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.25}); }
};

template <class Model>
std::string shown_while_training(Model& model, std::int64_t epochs) {
  std::FILE* file = std::tmpfile();
  const std::vector<fg::Example> batches(3, fg::Example(torch::ones({2, 1}), torch::ones({2, 1})));
  fg::Trainer trainer{model, fg::MaxEpochs{epochs}, fg::ProgressBar{.out = file}};
  if constexpr (requires { model.validates; }) {
    trainer.fit(batches, batches);
  } else {
    trainer.fit(batches);
  }
  std::rewind(file);
  std::array<char, 4096> text{};
  const auto length = std::fread(text.data(), 1, text.size() - 1, file);
  std::fclose(file);
  return {text.data(), length};
}

// One name in both stages, and a number of the epoch.
struct OneName : Line {
  static constexpr bool validates = true;
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    step.log("loss", step.batch_index() + 1, fg::on_step | fg::on_epoch | fg::prog_bar);
    step.log("rate", step.batch_index() + 5, fg::prog_bar);
    return line->forward(batch.data).pow(2).mean();
  }
  void validation_step(const fg::Example&, auto& step) {
    step.log("loss", 7.0, fg::prog_bar);
    step.log("rate", 8.0);
  }
  void on_train_epoch_end(auto& step) { step.log("end", 9.0, fg::prog_bar); }
};
}  // namespace

TEST_CASE("the progress bar shows batches, rate and what asked to be shown") {
  Line model;
  const std::string shown = shown_while_training(model, 2);
  CHECK_THAT(shown, ContainsSubstring("epoch 1  3/3"));
  CHECK_THAT(shown, ContainsSubstring("epoch 2  3/3"));
  CHECK_THAT(shown, ContainsSubstring("lr 0.25"));
  CHECK_THAT(shown, ContainsSubstring("loss "));
  CHECK_THAT(shown, !ContainsSubstring("hidden"));
}

TEST_CASE("a metric of batches and epochs is shown by the names that it has there, whatever validation logs") {
  OneName model;
  const std::string shown = shown_while_training(model, 1);
  CHECK_THAT(shown, ContainsSubstring("  loss_step 3  loss_epoch 2  rate 7  loss 7  end 9"));
}

TEST_CASE("the rate of steps that take longer than a second is in seconds per step") {
  CHECK(fg::detail::rate_text(120, 10.0) == "12 steps/s");
  CHECK(fg::detail::rate_text(15, 10.0) == "1.5 steps/s");
  CHECK(fg::detail::rate_text(1, 1.0) == "1.0 steps/s");
  CHECK(fg::detail::rate_text(10, 21.0) == "2.1 s/step");
  CHECK(fg::detail::rate_text(1, 300.0) == "300.0 s/step");
  CHECK(fg::detail::rate_text(0, 10.0) == "? steps/s");
  CHECK(fg::detail::rate_text(3, 0.0) == "? steps/s");
}
