// SPDX-License-Identifier: MIT
// Which parameters of a grouped optimizer are updated together, and what changes that.
#include <fulgurite/optim/grouped_optimizer.hpp>

#include <torch/torch.h>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <fulgurite/optim/adadelta.hpp>
#include <fulgurite/optim/adagrad.hpp>
#include <fulgurite/optim/adamw.hpp>
#include <fulgurite/optim/muon.hpp>
#include <fulgurite/optim/nadam.hpp>
#include <fulgurite/optim/rmsprop.hpp>
#include <fulgurite/optim/sgd.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fg = fulgurite;

namespace {

torch::Tensor zeros(std::int64_t size, torch::ScalarType type = torch::kFloat) {
  return torch::zeros({size}, type).requires_grad_();
}

void fill_gradient(const torch::Tensor& parameter, double value) {
  parameter.mutable_grad() = torch::full(parameter.sizes(), value, parameter.scalar_type());
}

/// How many tensors count updates: one for each part.
std::size_t parts_of(const auto& optimizer) {
  std::size_t count = 0;
  optimizer.for_each_state([&](const std::string& name, const torch::Tensor&) { count += name == "the count of updates"; });
  return count;
}

c10::impl::GenericDict state_of(const c10::IValue& state_dict, std::int64_t parameter) {
  return state_dict.toGenericDict().at("state").toGenericDict().at(parameter).toGenericDict();
}

}  // namespace

TEST_CASE("parameters of one number format are updated together by a fused kernel, however many") {
  auto a = zeros(9000), b = zeros(9000), c = zeros(3, torch::kDouble);
  fg::AdamW adamw({a, c, b}, {});
  for (const auto& parameter : {a, b, c}) fill_gradient(parameter, 1.0);
  adamw.step();
  CHECK(parts_of(adamw) == 2);
}

TEST_CASE("the revision is another one after what changes updates, and the same in steady steps") {
  auto a = zeros(2), b = zeros(2);
  fg::SGD sgd({a, b}, {.lr = 1.0, .momentum = 0.5});
  auto last = sgd.revision();
  const auto changes = [&](auto&& f) {
    f();
    return std::exchange(last, sgd.revision()) != last;
  };
  const auto step = [&] { sgd.step(); };
  CHECK(fg::SGD({a, b}, {}).revision() != last);
  fill_gradient(a, 1.0);
  CHECK(changes(step));
  CHECK_FALSE(changes(step));
  fill_gradient(b, 1.0);
  CHECK(changes(step));
  CHECK_FALSE(changes(step));
  CHECK_FALSE(changes(step));
  b.mutable_grad().reset();
  CHECK(changes(step));
  CHECK_FALSE(changes(step));
  CHECK_FALSE(changes([&] { sgd.set_momentum(0, 0.5); }));
  CHECK(changes([&] { sgd.set_momentum(0, 0.25); }));
  CHECK_FALSE(changes(step));
  CHECK_FALSE(changes([&] { sgd.set_lr(0, 0.5); }));  // read from a tensor
  CHECK(changes([&] { sgd.set_options(0, {.lr = 0.5}); }));
  CHECK(changes([&] { sgd.set_loss_scale(torch::ones({}), torch::zeros({})); }));
}

TEST_CASE("a momentum that comes later begins with the first gradient after it, as in PyTorch") {
  const bool by_options = GENERATE(false, true);
  auto p = zeros(1, torch::kDouble);
  fg::SGD sgd({p}, {.lr = 1.0, .dampening = 0.5});
  const auto step = [&](double slope, double momentum) {
    if (by_options) {
      sgd.set_options(0, {.lr = 1.0, .momentum = momentum, .dampening = 0.5});
    } else {
      sgd.set_momentum(0, momentum);
    }
    fill_gradient(p, slope);
    const double before = p.item<double>();
    sgd.step();
    return before - p.item<double>();
  };
  CHECK(step(4.0, 0.0) == 4.0);
  CHECK(step(2.0, 0.5) == 2.0);                    // the buffer is the gradient
  CHECK(step(4.0, 0.5) == 0.5 * 2.0 + 0.5 * 4.0);  // 3
  CHECK(step(1.0, 0.0) == 1.0);                    // without momentum the buffer rests
  CHECK(step(1.0, 0.5) == 0.5 * 3.0 + 0.5 * 1.0);

  // What counts the updates goes on when a tensor is made later.
  fg::RMSprop rmsprop({p}, {});
  rmsprop.step();
  rmsprop.step();
  rmsprop.set_momentum(0, 0.9);
  rmsprop.step();
  CHECK(state_of(rmsprop.state_dict(), 0).at("step").toTensor().item<double>() == 3.0);
}

TEST_CASE("without weight decay a parameter has no part in its gradient, with one its gradient is left alone") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  auto p = torch::tensor({infinity, 1.0f}).requires_grad_();
  fg::Adadelta none({p}, {.lr = 1.0});
  fill_gradient(p, 1.0);
  none.step();
  CHECK(p[0].item<float>() == infinity);

  for (const bool maximize : {false, true}) {
    auto q = torch::tensor({2.0, -1.0}, torch::kDouble).requires_grad_(), by_hand = q.detach().clone().requires_grad_();
    fg::Adadelta decaying({q}, {.weight_decay = 1.0, .maximize = maximize}), plain({by_hand}, {});
    for (int step = 0; step < 2; ++step) {
      fill_gradient(q, 0.5);
      by_hand.mutable_grad() = (maximize ? -0.5 : 0.5) + by_hand.detach();
      decaying.step();
      plain.step();
      CHECK(q.grad().equal(torch::full({2}, 0.5, torch::kDouble)));
    }
    CHECK(torch::allclose(q, by_hand, 1e-12, 1e-14));
  }
}

TEMPLATE_TEST_CASE("a gradient with gaps in its memory, or other strides of single rows, is read where its numbers are", "",
                   fg::SGD, fg::NAdam) {
  auto a = torch::zeros({2, 3}).requires_grad_(), b = torch::zeros({1, 3}).requires_grad_(),
       c = torch::zeros({4, 3}).requires_grad_();
  auto plain_a = a.detach().clone().requires_grad_(), plain_b = b.detach().clone().requires_grad_();
  auto plain_c = c.detach().clone().requires_grad_();
  TestType optimizer({a, b, c}, {.lr = 0.5}), plain({plain_a, plain_b, plain_c}, {.lr = 0.5});
  const auto wide = torch::arange(12.0f).reshape({2, 6});
  for (int step = 0; step < 3; ++step) {
    a.mutable_grad() = wide.narrow(1, 1, 3);
    b.mutable_grad() = wide.narrow(0, 1, 1).narrow(1, 2, 3);
    c.mutable_grad() = torch::arange(12.0f).reshape({3, 4}).t();
    plain_a.mutable_grad() = a.grad().contiguous();
    plain_b.mutable_grad() = b.grad().clone();
    plain_c.mutable_grad() = c.grad().contiguous();
    optimizer.step();
    plain.step();
  }
  CHECK(a.equal(plain_a));
  CHECK(b.equal(plain_b));
  CHECK(c.equal(plain_c));
}

TEST_CASE("a gradient of another shape or format is refused, stored together or apart, and nothing is changed") {
  const auto refused = [](auto... storage) {
    auto p = torch::zeros({2, 3}).requires_grad_(), q = torch::zeros({2}).requires_grad_();
    fg::SGD sgd({{{q}, {.lr = 1.0}}, {{p}, {.lr = 1.0}}}, storage...);
    const std::string before = "fulgurite: SGD was given a gradient of another shape or number format for parameter 1: ";
    const auto wrong = [&](const torch::Tensor& gradient, const std::string& why) {
      q.mutable_grad() = torch::ones({2});
      p.mutable_grad() = gradient;
      CHECK_THROWS_WITH(sgd.step(), before + why);
      if (sizeof...(storage) > 0) CHECK_THROWS_WITH(sgd.gradients(), before + why);
      CHECK(p.grad().is_same(gradient));
      CHECK(q.equal(torch::zeros({2})));
    };
    wrong(torch::ones({3}), "[3] Float for [2, 3] Float");
    wrong(torch::ones({2, 3}, torch::kDouble), "[2, 3] Double for [2, 3] Float");
    p.mutable_grad() = torch::ones({2, 3});
    sgd.step();
    CHECK(p.equal(torch::full({2, 3}, -1.0f)));
  };
  refused();
  refused(fg::Contiguous{});
}

TEST_CASE("gradients that require gradients are stored without their graph") {
  auto p = torch::ones({2}).requires_grad_();
  fg::SGD sgd({p}, {.lr = 1.0}, fg::Contiguous{});
  const auto set = [&] { p.mutable_grad() = (p * 2.0).clone(); };
  set();
  CHECK(sgd.gradients().tensors().size() == 1);
  CHECK_FALSE(p.grad().requires_grad());
  set();
  sgd.step();
  CHECK_FALSE(p.grad().requires_grad());
  CHECK(p.equal(-torch::ones({2})));
}

TEST_CASE("state is named after the flat memory of its own group") {
  auto p = zeros(2), q = zeros(3);
  fg::SGD sgd({{{p}, {.momentum = 0.5}}, {{q}, {.momentum = 0.5}}}, fg::Contiguous{});
  sgd.step();
  std::vector<std::string> names;
  sgd.for_each_state([&](const std::string& name, const torch::Tensor&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"momentum_buffer of flat memory 0", "momentum_buffer of flat memory 0"});
}

TEST_CASE("a loaded state brings no graph, and state that every parameter has is made where it lacks some") {
  auto p = zeros(2), q = zeros(2);
  fg::AdamW adamw({p}, {}), other({p}, {});
  fill_gradient(p, 1.0);
  adamw.step();
  const auto saved = adamw.state_dict();
  state_of(saved, 0).insert_or_assign("exp_avg", torch::ones({2}).requires_grad_());
  other.load_state_dict(saved);
  for (const char* key : {"step", "exp_avg", "exp_avg_sq"}) {
    CHECK_FALSE(state_of(other.state_dict(), 0).at(key).toTensor().requires_grad());
  }

  fg::Adagrad adagrad({p, q}, {.initial_accumulator_value = 0.5});
  const auto before = torch::pickle_save(adagrad.state_dict());
  const auto empty = torch::pickle_load(before);
  empty.toGenericDict().at("state").toGenericDict().clear();
  adagrad.load_state_dict(empty);
  CHECK(torch::pickle_save(adagrad.state_dict()) == before);
}

TEST_CASE("parameters whose numbers differ are updated apart, and not stored together") {
  auto a = zeros(2, torch::kDouble), b = zeros(2, torch::kDouble), alone = zeros(2, torch::kDouble);
  fg::NAdam both({a, b}, {}), single({alone}, {});
  for (const auto& parameter : {a, b, alone}) fill_gradient(parameter, 1.0);
  both.step();
  single.step();
  const auto saved = torch::pickle_load(torch::pickle_save(both.state_dict()));
  const auto of_single = torch::pickle_load(torch::pickle_save(single.state_dict()));
  state_of(saved, 1).insert_or_assign("mu_product", torch::full({}, 0.25f));
  state_of(of_single, 0).insert_or_assign("mu_product", torch::full({}, 0.25f));
  fg::NAdam together({a, b}, {}, fg::Contiguous{});
  CHECK_THROWS_WITH(together.load_state_dict(saved),
                    "fulgurite: NAdam cannot load this state: parameter 1 has made other updates than those before it, and "
                    "fg::Contiguous updates all together: load it into an optimizer without fg::Contiguous");
  fg::NAdam loaded({a, b}, {});
  loaded.load_state_dict(saved);
  single.load_state_dict(of_single);
  for (const auto& parameter : {a, b, alone}) fill_gradient(parameter, 2.0);
  loaded.step();
  single.step();
  CHECK(b.equal(alone));
  CHECK_FALSE(a.equal(alone));
}

TEST_CASE("a parameter that the optimizer cannot train is refused wherever it is in the list") {
  auto vector = zeros(2), matrix = torch::zeros({2, 2}).requires_grad_();
  const auto refusal = [](std::vector<torch::Tensor> parameters) -> std::string {
    try {
      fg::Muon(std::move(parameters), {});
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  CHECK(refusal({matrix}) == "");
  CHECK(refusal({vector, matrix}).find("fulgurite: Muon was given a parameter (number 0) ") == 0);
  CHECK(refusal({matrix, vector}).find("fulgurite: Muon was given a parameter (number 1) ") == 0);
}

TEST_CASE("an optimizer may have a found_inf without a loss scale") {
  auto p = zeros(2);
  fg::AdamW adamw({p}, {.lr = 0.5, .weight_decay = 0.0});
  const auto found = torch::ones({1});
  adamw.set_loss_scale({}, found);
  fill_gradient(p, 1.0);
  adamw.step();
  CHECK(p.equal(torch::zeros({2})));
  found.zero_();
  adamw.step();
  CHECK(torch::allclose(p, torch::full({2}, -0.5f)));
  CHECK(p.grad().equal(torch::ones({2})));
}
