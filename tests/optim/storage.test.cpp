// SPDX-License-Identifier: MIT
#include <fulgurite/optim/storage.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/optim/adamw.hpp>
#include <fulgurite/optim/asgd.hpp>
#include <fulgurite/optim/sgd.hpp>

#include <limits>
#include <utility>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

namespace {

/// Whether five steps and a change of storage by way of a file leave the same numbers.
template <class Make>
bool storage_changes_nothing(Make make) {
  support::Problem plain, flat;
  auto expected = make(plain.parameters);
  auto optimizer = make(flat.parameters, fg::Contiguous{});
  const auto both = [&](int step) {
    plain.backward(step);
    flat.backward(step);
    expected.gradients().clip_norm(0.5, 2.0);
    optimizer.gradients().clip_norm(0.5, 2.0);
    expected.step();
    optimizer.step();
  };
  const auto equal = [&] {
    for (std::size_t i = 0; i < plain.parameters.size(); ++i) {
      if (!torch::allclose(plain.parameters[i], flat.parameters[i], 1e-12, 1e-14)) return false;
    }
    return true;
  };
  for (int step = 0; step < 5; ++step) both(step);
  const bool same = equal();
  const auto from_flat = torch::pickle_save(optimizer.state_dict());
  const auto from_plain = torch::pickle_save(expected.state_dict());
  expected.load_state_dict(torch::pickle_load(from_flat));
  optimizer.load_state_dict(torch::pickle_load(from_plain));
  for (int step = 5; step < 8; ++step) both(step);
  return same && equal();
}

}  // namespace

TEST_CASE("contiguous storage changes no number, and states travel between storages") {
  CHECK(storage_changes_nothing(
      [](const Parameters& p, auto... storage) { return fg::AdamW(p, {.lr = 0.05}, storage...); }));
  CHECK(storage_changes_nothing(
      [](const Parameters& p, auto... storage) { return fg::SGD(p, {.lr = 0.05, .momentum = 0.9}, storage...); }));
  CHECK(storage_changes_nothing([](const Parameters& p, auto... storage) { return fg::ASGD(p, {.t0 = 2}, storage...); }));
}

TEST_CASE("parameters and gradients are views of one memory, in their own layout") {
  auto a = torch::randn({2, 3});
  auto b = torch::randn({3, 2}).t();  // columns first
  const auto before = b.clone();
  a.requires_grad_();
  b.requires_grad_();
  fg::SGD sgd({a, b}, {.lr = 1.0}, fg::Contiguous{});
  CHECK(b.equal(before));
  CHECK(b.strides() == torch::IntArrayRef{1, 2});
  CHECK(b.data_ptr<float>() == a.data_ptr<float>() + 6);
  (a + b).sum().backward();
  CHECK(b.grad().data_ptr<float>() == a.grad().data_ptr<float>() + 6);
  CHECK(sgd.gradients().tensors().size() == 1);
  sgd.step();
  CHECK(torch::allclose(b, before - 1));
  sgd.zero_grad();
  CHECK(a.grad().equal(torch::zeros({2, 3})));
}

TEST_CASE("gradients that were forgotten or made elsewhere find back") {
  auto a = torch::zeros({2}).requires_grad_();
  auto b = torch::zeros({2}).requires_grad_();
  fg::SGD sgd({a, b}, {.lr = 1.0}, fg::Contiguous{});
  a.mutable_grad() = torch::ones({2});
  b.mutable_grad().reset();
  sgd.step();
  CHECK(a.equal(-torch::ones({2})));
  CHECK(b.equal(torch::zeros({2})));
  CHECK(b.grad().defined());
}

TEST_CASE("a parameter whose memory was replaced is refused") {
  auto a = torch::zeros({2}).requires_grad_();
  fg::SGD sgd({a}, {}, fg::Contiguous{});
  a.set_data(torch::ones({2}));
  CHECK_THROWS_WITH(sgd.step(),
                    "fulgurite: SGD with fg::Contiguous has lost a parameter, whose memory was replaced: move the model to its "
                    "device and number format before the optimizer is made");
}

TEST_CASE("a state whose parameters were updated at other times is loaded by an optimizer without flat memory alone") {
  auto a = torch::zeros({2}).requires_grad_(), b = torch::zeros({2}).requires_grad_();
  fg::AdamW one_by_one({a, b}, {}), other({a, b}, {}), together({a, b}, {}, fg::Contiguous{});
  a.mutable_grad() = torch::ones({2});
  b.mutable_grad().reset();
  one_by_one.step();
  b.mutable_grad() = torch::ones({2});
  one_by_one.step();
  CHECK_THROWS_WITH(
      together.load_state_dict(one_by_one.state_dict()),
      "fulgurite: AdamW cannot load this state: parameter 1 has made other updates than those before it, and fg::Contiguous "
      "updates all together: load it into an optimizer without fg::Contiguous");
  other.load_state_dict(one_by_one.state_dict());
  CHECK(torch::pickle_save(other.state_dict()) == torch::pickle_save(one_by_one.state_dict()));
}

TEST_CASE("tensors and groups without elements are stored, trained, saved and loaded like others") {
  const auto trained = [](auto... storage) {
    torch::manual_seed(1);
    auto none = torch::zeros({0, 3}).requires_grad_();
    auto some = torch::randn({2, 3}).requires_grad_();
    auto last = torch::randn({4}).requires_grad_();
    fg::AdamW optimizer({{{none, some}, {.lr = 0.1}}, {{}, {.lr = 0.2}}, {{last}, {.lr = 0.3}}}, storage...);
    for (int step = 0; step < 3; ++step) {
      optimizer.zero_grad();
      (none.sum() + (some * some).sum() + last.sin().sum()).backward();
      optimizer.gradients().clip_norm(0.5, step == 1 ? std::numeric_limits<double>::infinity() : 2.0);
      optimizer.step();
      optimizer.load_state_dict(torch::pickle_load(torch::pickle_save(optimizer.state_dict())));
    }
    CHECK(none.grad().sizes() == none.sizes());
    return torch::cat({some.detach().flatten(), last.detach()});
  };
  CHECK(trained(fg::Contiguous{}).equal(trained()));
}

TEST_CASE("number formats have a memory each, and gradients keep their places through steps and zero_grad()") {
  auto a = torch::ones({2}).requires_grad_(), b = torch::ones({3}, torch::kDouble).requires_grad_();
  auto c = torch::ones({1}).requires_grad_(), d = torch::ones({2}, torch::kDouble).requires_grad_();
  const std::vector<torch::Tensor> all{a, b, c, d};
  fg::SGD sgd(all, {.lr = 1.0}, fg::Contiguous{});
  CHECK(sgd.gradients().tensors().size() == 2);
  CHECK(c.data_ptr<float>() == a.data_ptr<float>() + 2);
  CHECK(d.data_ptr<double>() == b.data_ptr<double>() + 3);
  std::vector<torch::Tensor> gradients;
  for (const auto& parameter : all) {
    gradients.push_back(parameter.grad());
    CHECK(parameter.grad().equal(torch::zeros_like(parameter).detach()));
    parameter.mutable_grad().fill_(2.0);
  }
  sgd.step();
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].grad().is_same(gradients[i]));
    CHECK(all[i].equal(torch::full_like(all[i], -1.0).detach()));
  }
  c.mutable_grad().reset();
  sgd.step();  // a gradient that was forgotten is 0, whatever was in its place
  CHECK(c.equal(torch::full({1}, -1.0f)));
  CHECK(a.equal(torch::full({2}, -3.0f)));
  b.mutable_grad() = torch::ones({3}, torch::kDouble);
  c.mutable_grad().reset();
  sgd.zero_grad();
  for (std::size_t i = 0; i < all.size(); ++i) {
    REQUIRE(all[i].grad().defined());
    CHECK(all[i].grad().data_ptr() == gradients[i].data_ptr());
    CHECK(all[i].grad().equal(torch::zeros_like(all[i]).detach()));
  }
}

TEST_CASE("groups have a memory each") {
  auto a = torch::zeros({2}).requires_grad_();
  auto b = torch::zeros({2}).requires_grad_();
  fg::SGD sgd({{{a}, {.lr = 1.0}}, {{b}, {.lr = 2.0}}}, fg::Contiguous{});
  a.mutable_grad().fill_(1.0);
  b.mutable_grad().fill_(1.0);
  sgd.step();
  CHECK(a.equal(-torch::ones({2})));
  CHECK(b.equal(-2 * torch::ones({2})));
}
