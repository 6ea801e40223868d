// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/for_each_tensor.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <map>

namespace fg = fulgurite;

namespace {
struct Own {
  torch::Tensor a, b;
  template <class F>
  void for_each_tensor(F&& f) {
    f(a), f(b);
  }
  template <class F>
  void for_each_tensor(F&& f) const {
    f(a), f(b);
  }
};

template <class T>
int count(const T& value) {
  int tensors = 0;
  fg::for_each_tensor(value, [&](const torch::Tensor&) { ++tensors; });
  return tensors;
}
}  // namespace

static_assert(fg::HoldsTensors<torch::Tensor> && fg::HoldsTensors<Own> && fg::HoldsTensors<std::pair<int, torch::Tensor>>);
static_assert(!fg::HoldsTensors<std::map<int, torch::Tensor>>);

TEST_CASE("tensors are found in every known kind of batch") {
  const auto t = torch::ones({1});
  CHECK(count(t) == 1);
  CHECK(count(torch::data::Example<>(t, t)) == 2);
  CHECK(count(torch::data::TensorExample(t)) == 1);
  CHECK(count(std::tuple{t, std::vector{t, t}, 3.0}) == 3);
  CHECK(count(std::array{std::pair{t, 1}, std::pair{t, 2}}) == 2);
  CHECK(count(Own{t, t}) == 2);
}
