// SPDX-License-Identifier: MIT
#include <fulgurite/optim/lbfgs.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/concepts/optimizer.hpp>
#include <fulgurite/fulgurite.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
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

TEST_CASE("a state that lacks something, or has it in another shape, is refused with its place") {
  auto p = start();
  const fg::LBFGSOptions options{.lr = 0.01, .tolerance_grad = 1e-5, .tolerance_change = 1e-6};
  fg::LBFGS lbfgs({p}, options);
  CHECK(lbfgs.state_dict().toGenericDict().at("state").toGenericDict().empty());
  lbfgs.step(closure(p));
  CHECK(lbfgs.group_count() == 1);
  CHECK(lbfgs.options().history_size == 100);
  const auto file = torch::pickle_save(lbfgs.state_dict());
  const auto entries = [](const c10::IValue& state) {
    return state.toGenericDict().at("state").toGenericDict().at(std::int64_t{0}).toGenericDict();
  };
  fg::LBFGS other({p}, {});
  const auto refusal = [&](const c10::IValue& state) -> std::string {
    const std::string before = "fulgurite: LBFGS cannot load this state: ";
    try {
      other.load_state_dict(state);
    } catch (const std::invalid_argument& error) {
      const std::string what = error.what();
      return what.substr(0, before.size()) == before ? what.substr(before.size()) : what;
    }
    return "";
  };
  for (const char* key : {"func_evals", "n_iter", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss"}) {
    const auto state = torch::pickle_load(file);
    CHECK(entries(state).erase(key) == 1);
    CHECK(refusal(state) == "parameter 0 has no \"" + std::string(key) + "\"");
  }
  for (const char* key : {"func_evals", "n_iter", "t", "H_diag", "prev_loss"}) {
    const auto state = torch::pickle_load(file);
    entries(state).insert_or_assign(key, "much");
    CHECK(refusal(state) == "\"" + std::string(key) + "\" of parameter 0 is not a number");
  }
  const std::string shapes = " of shape [2], and the saved one has [3]: load it into an optimizer of the same model";
  for (const char* key : {"d", "prev_flat_grad"}) {
    const auto state = torch::pickle_load(file);
    entries(state).insert_or_assign(key, torch::ones({3}));
    CHECK(refusal(state) == "parameter 0 needs a \"" + std::string(key) + "\"" + shapes);
  }
  for (const char* key : {"old_dirs", "old_stps"}) {
    const auto state = torch::pickle_load(file);
    entries(state).at(key).toList().set(1, torch::ones({3}));
    CHECK(refusal(state) == "parameter 0 needs a \"" + std::string(key) + "\"" + shapes);
  }
  for (const char* key : {"old_dirs", "old_stps", "ro"}) {
    const auto state = torch::pickle_load(file);
    auto list = entries(state).at(key).toList();
    list.erase(list.begin());
    CHECK(refusal(state) == "\"old_dirs\", \"old_stps\" and \"ro\" are not equally many");
  }
  const auto twice = torch::pickle_load(file);
  twice.toGenericDict().at("param_groups").toList().push_back(twice.toGenericDict().at("param_groups").toList().get(0));
  CHECK(refusal(twice) ==
        "it has 2 parameter group(s), and the optimizer has 1: make the optimizer with the groups that it had when the "
        "state was saved");
  const auto search = torch::pickle_load(file);
  search.toGenericDict().at("param_groups").toList().get(0).toGenericDict().insert_or_assign("line_search_fn", "armijo");
  CHECK(refusal(search) == "\"line_search_fn\" of its group 0 is of another type");
  CHECK(other.state_dict().toGenericDict().at("state").toGenericDict().empty());
  CHECK(other.options().lr == 1.0);

  // Python writes whole numbers, and lists that it pickled as tuples come back as such.
  const auto other_types = torch::pickle_load(file);
  entries(other_types).insert_or_assign("H_diag", 1);
  entries(other_types).insert_or_assign("t", std::int64_t{2});
  const auto tuple = [&](const char* key) {
    const auto list = entries(other_types).at(key).toList();
    entries(other_types).insert_or_assign(key, c10::ivalue::Tuple::create(std::vector<c10::IValue>(list.begin(), list.end())));
  };
  tuple("old_dirs");
  tuple("ro");
  const auto tracked = entries(other_types).at("d").toTensor().clone().requires_grad_();
  entries(other_types).insert_or_assign("d", tracked);
  CHECK(refusal(other_types) == "");
  CHECK(other.options().tolerance_grad == 1e-5);
  CHECK(other.options().tolerance_change == 1e-6);
  const auto loaded = entries(other.state_dict()), saved = entries(torch::pickle_load(file));
  CHECK(loaded.at("H_diag").toDouble() == 1.0);
  CHECK(loaded.at("t").toDouble() == 2.0);
  CHECK_FALSE(loaded.at("d").toTensor().requires_grad());
  CHECK(loaded.at("d").toTensor().equal(saved.at("d").toTensor()));
  CHECK(loaded.at("prev_flat_grad").toTensor().equal(saved.at("prev_flat_grad").toTensor()));
  CHECK_FALSE(loaded.at("prev_flat_grad").toTensor().requires_grad());
  CHECK(loaded.at("ro").toList().get(0).toTensor().equal(saved.at("ro").toList().get(0).toTensor()));
  CHECK(loaded.at("prev_loss").toDouble() == saved.at("prev_loss").toDouble());
}

TEST_CASE("a step that ends before its first iteration leaves a state without direction, which is loaded too") {
  auto p = torch::ones({2}, torch::kDouble).requires_grad_(), none = torch::zeros({0}).requires_grad_();
  const auto flat = [] { return 1.0; };
  for (const auto& parameter : {p, none}) {
    fg::LBFGS lbfgs({parameter}, {.tolerance_grad = 0.5}), other({parameter}, {});
    lbfgs.step(flat);
    lbfgs.step(flat);
    const auto file = torch::pickle_save(lbfgs.state_dict());
    other.load_state_dict(torch::pickle_load(file));
    CHECK(torch::pickle_save(other.state_dict()) == file);
    const auto entry = other.state_dict().toGenericDict().at("state").toGenericDict().at(std::int64_t{0}).toGenericDict();
    CHECK(entry.size() == 2);
    CHECK(entry.at("func_evals").toInt() == 2);
    CHECK(entry.at("n_iter").toInt() == 0);
  }
}

TEST_CASE("a gradient that is missing counts as 0, and one may be sparse") {
  torch::manual_seed(2);
  auto a = torch::randn({2, 2}).requires_grad_(), missing = torch::ones({3}).requires_grad_(),
       b = torch::randn({2}).requires_grad_();
  auto plain_a = a.detach().clone().requires_grad_(), plain_b = b.detach().clone().requires_grad_();
  const auto zeros = torch::zeros({3});
  const auto loss = [&](torch::Tensor& first, torch::Tensor& second, bool sparse) {
    return [&first, &second, sparse] {
      const auto slope = first.detach().sin() + first.detach();
      first.mutable_grad() = sparse ? slope.to_sparse() : slope;
      second.mutable_grad() = second.detach() * 3.0;
      return (first.detach().square().sum() / 2 - first.detach().cos().sum() + second.detach().square().sum() * 1.5);
    };
  };
  const fg::LBFGSOptions options{.max_iter = 4, .line_search_fn = fg::LineSearch::strong_wolfe};
  fg::LBFGS lbfgs({a, missing, b}, options), plain({plain_a, plain_b}, options);
  for (int step = 0; step < 3; ++step) {
    lbfgs.step(loss(a, b, true));
    plain.step(loss(plain_a, plain_b, false));
  }
  CHECK(torch::allclose(a, plain_a, 1e-5, 1e-6));
  CHECK(torch::allclose(b, plain_b, 1e-5, 1e-6));
  CHECK(missing.equal(torch::ones({3})));
  CHECK_FALSE(lbfgs.state_dict()
                  .toGenericDict()
                  .at("state")
                  .toGenericDict()
                  .at(std::int64_t{0})
                  .toGenericDict()
                  .at("d")
                  .toTensor()
                  .requires_grad());
  CHECK(lbfgs.gradients().tensors().size() == 2);
  lbfgs.zero_grad();
  CHECK_FALSE(a.grad().defined());
  CHECK_FALSE(b.grad().defined());
  CHECK(lbfgs.gradients().tensors().empty());
}

TEST_CASE("a closure may return a number, an optional, or nothing to train on") {
  auto p = start();
  const auto before = p.detach().clone();
  fg::LBFGS lbfgs({p}, {.lr = 0.01});
  lbfgs.step([]() -> std::optional<torch::Tensor> { return std::nullopt; });
  CHECK(p.equal(before));
  CHECK(lbfgs.state_dict().toGenericDict().at("state").toGenericDict().empty());
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
  CHECK(fg::LBFGS({p}, {.lr = 0.0, .max_iter = 1, .history_size = 1}).options().max_eval == 1);
  CHECK_THROWS_WITH(fg::LBFGS({p}, {.lr = -1.0}), "fulgurite: LBFGS needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::LBFGS({p}, {.max_iter = 0}), "fulgurite: LBFGS needs a max_iter of 1 or more");
  CHECK_THROWS_WITH(fg::LBFGS({p}, {.history_size = 0}), "fulgurite: LBFGS needs a history_size of 1 or more");
  CHECK_THROWS_WITH(fg::LBFGS({p, p}, {}),
                    "fulgurite: LBFGS was given a parameter twice (numbers 0 and 1): name it once, in one group");
}
