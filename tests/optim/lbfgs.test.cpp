// SPDX-License-Identifier: MIT
#include <fulgurite/optim/lbfgs.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/fulgurite.hpp>
#include <fulgurite/optim/optimizer.hpp>

#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

namespace {

torch::Tensor rosenbrock(const torch::Tensor& p) {
  return 100 * (p[1] - p[0].square()).square() + (1 - p[0]).square();
}

torch::Tensor start() {
  return torch::tensor({-1.2, 1.0}, torch::kDouble).requires_grad_();
}

auto closure(torch::Tensor& p) {
  return [&p] {
    p.mutable_grad().reset();
    auto loss = rosenbrock(p);
    loss.backward();
    return loss;
  };
}

}  // namespace

TEST_CASE("LBFGS has torch::optim::LBFGS's numbers") {
  const bool wolfe = GENERATE(false, true);
  auto ours = start(), torchs = start();
  fg::LBFGS lbfgs({ours}, {.lr = wolfe ? 1.0 : 0.01,
                           .max_iter = 8,
                           .history_size = 3,
                           .line_search_fn = wolfe ? fg::LineSearch::strong_wolfe : fg::LineSearch::none});
  auto options = torch::optim::LBFGSOptions(wolfe ? 1.0 : 0.01).max_iter(8).history_size(3);
  if (wolfe) options.line_search_fn("strong_wolfe");
  torch::optim::LBFGS reference(Parameters{torchs}, options);
  for (int step = 0; step < 3; ++step) {
    lbfgs.step(closure(ours));
    reference.step(closure(torchs));
    CHECK(torch::allclose(ours, torchs, 1e-12, 1e-13));
  }
}

TEST_CASE("LBFGS with a line search finds Rosenbrock's minimum") {
  auto p = start();
  fg::LBFGS lbfgs({p}, {.line_search_fn = fg::LineSearch::strong_wolfe});
  for (int step = 0; step < 10; ++step) lbfgs.step(closure(p));
  CHECK(torch::allclose(p, torch::ones({2}, torch::kDouble), 1e-4));
}

TEST_CASE("the accepted evaluation is the one at the parameters where a step ends") {
  auto p = start();
  fg::LBFGS lbfgs({p}, {.lr = 8.0, .max_iter = 6, .max_eval = 4, .line_search_fn = fg::LineSearch::strong_wolfe});
  bool was_last = true;
  for (int step = 0; step < 8; ++step) {
    std::vector<double> losses;
    lbfgs.step([&] {
      losses.push_back(closure(p)().item<double>());
      return losses.back();
    });
    const auto accepted = static_cast<std::size_t>(lbfgs.accepted_evaluation());
    REQUIRE(accepted < losses.size());
    CHECK(losses[accepted] == rosenbrock(p).item<double>());
    was_last &= accepted + 1 == losses.size();
  }
  CHECK_FALSE(was_last);  // some searches went back to a point before
}

namespace {
struct Valley : torch::nn::Module {
  torch::Tensor p = register_parameter("p", start());
  std::vector<double> losses;
  torch::Tensor training_step(const torch::Tensor&, auto& step) {
    auto loss = rosenbrock(p);
    losses.push_back(loss.item<double>());
    step.log("loss", loss, fg::on_step | fg::on_epoch);
    return loss;
  }
  auto configure_optimizers() {
    return fg::LBFGS(parameters(), {.max_iter = 6, .line_search_fn = fg::LineSearch::strong_wolfe});
  }
};
}  // namespace

TEST_CASE("what is logged in a step is that of the accepted evaluation") {
  Valley model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  auto loop = trainer.loop();
  double sum = 0.0;
  for (int i = 1; i <= 5; ++i) {
    loop.step(torch::ones({1}));
    const double reached = rosenbrock(model.p).item<double>();
    sum += reached;
    CHECK(trainer.metric("loss_step") == reached);
    CHECK(std::abs(*trainer.metric("loss_epoch") - sum / i) < 1e-12);
  }
  CHECK(model.losses.size() > 5);
}

TEST_CASE("saved, loaded and continued equals never stopped") {
  const auto search = GENERATE(fg::LineSearch::none, fg::LineSearch::strong_wolfe);
  const fg::LBFGSOptions options{.lr = 0.01, .max_iter = 5, .history_size = 4, .line_search_fn = search};
  auto straight = start();
  fg::LBFGS lbfgs({straight}, options);
  for (int step = 0; step < 3; ++step) lbfgs.step(closure(straight));
  const auto file = torch::pickle_save(lbfgs.state_dict());
  auto resumed = straight.detach().clone().requires_grad_();
  fg::LBFGS loaded({resumed}, {});
  loaded.load_state_dict(torch::pickle_load(file));
  CHECK(loaded.options().line_search_fn == search);
  for (int step = 0; step < 3; ++step) {
    lbfgs.step(closure(straight));
    loaded.step(closure(resumed));
  }
  CHECK(straight.equal(resumed));

  fg::LBFGS other({torch::ones({3}, torch::kDouble).requires_grad_()}, {});
  CHECK_THROWS_WITH(other.load_state_dict(torch::pickle_load(file)),
                    "fulgurite: LBFGS cannot load this state: parameter 0 needs a \"d\" of shape [3], and the saved one has "
                    "[2]: load it into an "
                    "optimizer of the same model");

  const auto refused_with = [&](const char* key, const c10::IValue& value, const std::string& why) {
    const auto state = torch::pickle_load(file);
    state.toGenericDict().at("state").toGenericDict().at(std::int64_t{0}).toGenericDict().insert_or_assign(key, value);
    CHECK_THROWS_WITH(loaded.load_state_dict(state), "fulgurite: LBFGS cannot load this state: " + why);
  };
  const c10::IValue none = c10::impl::GenericList(c10::AnyType::get()), word = "fast";
  refused_with("old_dirs", none, "\"old_dirs\", \"old_stps\" and \"ro\" are not equally many");
  for (const char* key : {"old_dirs", "old_stps", "ro"}) {
    refused_with(key, 1, "\"" + std::string(key) + "\" of parameter 0 is not a list");
  }
  refused_with("d", word, "\"d\" of parameter 0 is not a tensor");
  for (const char* key : {"t", "H_diag", "prev_loss", "n_iter"}) {
    refused_with(key, word, "\"" + std::string(key) + "\" of parameter 0 is not a number");
  }
  refused_with("t", torch::ones({2}), "\"t\" of parameter 0 is not a number");
  const auto no_lists = torch::pickle_load(file);
  for (const char* key : {"old_dirs", "old_stps", "ro"}) {
    no_lists.toGenericDict().at("state").toGenericDict().at(std::int64_t{0}).toGenericDict().insert_or_assign(key, word);
  }
  CHECK_THROWS_WITH(loaded.load_state_dict(no_lists),
                    "fulgurite: LBFGS cannot load this state: \"old_dirs\" of parameter 0 is not a list");
  CHECK(torch::pickle_save(loaded.state_dict()) == torch::pickle_save(lbfgs.state_dict()));
}

TEST_CASE("a closure may return a number, an optional, or nothing to train on") {
  auto p = start();
  const auto before = p.detach().clone();
  fg::LBFGS lbfgs({p}, {.lr = 0.01});
  lbfgs.step([]() -> std::optional<torch::Tensor> { return std::nullopt; });
  CHECK(p.equal(before));
  lbfgs.step([&] { return closure(p)().item<double>(); });
  CHECK_FALSE(p.equal(before));
  int calls = 0;
  CHECK_THROWS_WITH(
      lbfgs.step([&]() -> std::optional<torch::Tensor> { return calls++ == 0 ? std::optional(closure(p)()) : std::nullopt; }),
      "fulgurite: LBFGS was given no loss by a closure that gave one before: a batch that is left out must be left out "
      "every time");
}

TEST_CASE("LBFGS says that it needs a closure, and refuses invalid options") {
  static_assert(fg::NeedsClosure<fg::LBFGS> && fg::Optimizer<fg::LBFGS> && fg::HasLearningRate<fg::LBFGS>);
  auto p = start();
  CHECK(fg::LBFGS({p}, {}).options().max_eval == 25);
  CHECK_THROWS_WITH(fg::LBFGS({p}, {.lr = -1.0}), "fulgurite: LBFGS needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::LBFGS({p}, {.max_iter = 0}), "fulgurite: LBFGS needs a max_iter of 1 or more");
  CHECK_THROWS_WITH(fg::LBFGS({p}, {.history_size = 0}), "fulgurite: LBFGS needs a history_size of 1 or more");
  CHECK_THROWS_WITH(fg::LBFGS({p, p}, {}),
                    "fulgurite: LBFGS was given a parameter twice (numbers 0 and 1): name it once, in one group");
}
