// SPDX-License-Identifier: MIT
#include <fulgurite/callbacks/progress_bar.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/fulgurite.hpp>

#include <array>
#include <cstdio>

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
}  // namespace

TEST_CASE("the progress bar shows batches, rate and what asked to be shown") {
  std::FILE* file = std::tmpfile();
  Line model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}, fg::ProgressBar{.out = file}};
  trainer.fit(std::vector<fg::Example>(3, fg::Example(torch::ones({2, 1}), torch::ones({2, 1}))));

  std::rewind(file);
  std::array<char, 4096> text{};
  const auto length = std::fread(text.data(), 1, text.size() - 1, file);
  std::fclose(file);
  const std::string shown(text.data(), length);
  CHECK_THAT(shown, ContainsSubstring("epoch 1  3/3"));
  CHECK_THAT(shown, ContainsSubstring("epoch 2  3/3"));
  CHECK_THAT(shown, ContainsSubstring("lr 0.25"));
  CHECK_THAT(shown, ContainsSubstring("loss "));
  CHECK_THAT(shown, !ContainsSubstring("hidden"));
}
