// SPDX-License-Identifier: MIT
#include <fulgurite/optim/gradient_norms.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <fulgurite/fulgurite.hpp>

#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace fg = fulgurite;

namespace {

struct Line : torch::nn::Module {
  torch::nn::Linear line = register_module("line", torch::nn::Linear(2, 1));
  torch::Tensor unused = register_parameter("unused", torch::ones({1}));

  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) {
    return (line->forward(batch.data) * batch.target).sum();
  }
  void on_before_optimizer_step(auto& /*optimizer*/, auto& step) { step.log_dict(fg::gradient_norms(*this)); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.25}); }
};

std::map<std::string, double> values(const std::vector<std::pair<std::string, torch::Tensor>>& norms) {
  std::map<std::string, double> all;
  for (const auto& [name, norm] : norms) all[name] = norm.item<double>();
  return all;
}

}  // namespace

TEST_CASE("norms of gradients by name, and of all together") {
  Line model;
  CHECK(fg::gradient_norms(model).empty());
  model.line->weight.mutable_grad() = torch::tensor({{3.0f, -4.0f}});
  model.line->bias.mutable_grad() = torch::tensor({12.0f});
  CHECK(values(fg::gradient_norms(model)) == std::map<std::string, double>{{"grad_2.0_norm/line.weight", 5.0},
                                                                           {"grad_2.0_norm/line.bias", 12.0},
                                                                           {"grad_2.0_norm_total", 13.0}});
  CHECK(values(fg::gradient_norms(model, 1.0)) ==
        std::map<std::string, double>{{"grad_1.0_norm/line.weight", 7.0},
                                      {"grad_1.0_norm/line.bias", 12.0},
                                      {"grad_1.0_norm_total", 19.0}});
  CHECK(values(fg::gradient_norms(model, std::numeric_limits<double>::infinity())) ==
        std::map<std::string, double>{{"grad_inf_norm/line.weight", 4.0},
                                      {"grad_inf_norm/line.bias", 12.0},
                                      {"grad_inf_norm_total", 12.0}});
  CHECK(fg::gradient_norms(model, 1.5).back().first == "grad_1.5_norm_total");
  CHECK_THROWS_WITH(fg::gradient_norms(model, 0.0),
                    "fulgurite: gradient_norms takes a p above 0, or infinity, and was given 0");
}

TEST_CASE("norms have no graph, neither of gradients that have one nor of tensors without elements") {
  torch::nn::Module model;
  const auto p = model.register_parameter("p", torch::ones({2})), none = model.register_parameter("none", torch::zeros({0}));
  p.mutable_grad() = (p * 2.0).clone();
  none.mutable_grad() = torch::zeros({0});
  for (const double type : {2.0, std::numeric_limits<double>::infinity()}) {
    for (const auto& [name, norm] : fg::gradient_norms(model, type)) {
      CAPTURE(name);
      CHECK_FALSE(norm.requires_grad());
    }
  }
}

TEST_CASE("in on_before_optimizer_step they are those of the window, before clipping") {
  Line model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}, fg::ClipNorm{.max = 0.1}, fg::MaxEpochs{1}};
  const fg::Example one(torch::tensor({{3.0f, 4.0f}}), torch::ones({1, 1}));
  const fg::Example three(torch::tensor({{3.0f, 4.0f}}), torch::full({1, 1}, 3.0f));
  trainer.fit(std::vector{one, three});
  CHECK(trainer.metric("grad_2.0_norm/line.weight") == 10.0);  // the mean of 5 and 15
  CHECK(trainer.metric("grad_2.0_norm/line.bias") == 2.0);
  CHECK_FALSE(trainer.metric("grad_2.0_norm/unused"));
}
