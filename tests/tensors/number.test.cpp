// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/number.hpp>

#include <ATen/record_function.h>
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <fulgurite/logging/metrics.hpp>

#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace fg = fulgurite;

namespace {
/// A tensor that is treated as if it lay on a device: on a host all of the way but the waiting can be walked.
struct AsIfFar {
  torch::Tensor tensor;
};

int stacks = 0;  // calls of at::stack
std::unique_ptr<at::ObserverContext> count_stack(const at::RecordFunction& call) {
  if (std::string_view(call.name()) == "aten::stack") ++stacks;
  return nullptr;
}
}  // namespace

template <>
struct fulgurite::to_number<AsIfFar> {
  using Tensors = fulgurite::to_number<at::Tensor>;
  static double read(const AsIfFar& far) { return Tensors::read(far.tensor); }
  static bool is_far(const AsIfFar&) { return true; }
  static AsIfFar keep(const AsIfFar& far) { return {Tensors::keep(far.tensor)}; }
  static void read(std::span<const AsIfFar> kept, double* values) {
    std::vector<at::Tensor> tensors;
    for (const AsIfFar& far : kept) tensors.push_back(far.tensor);
    Tensors::read(std::span<const at::Tensor>(tensors), values);
  }
};

TEST_CASE("a number is read from a tensor of any format") {
  CHECK(fg::Number(torch::tensor(1.5f)).value() == 1.5);
  CHECK(fg::Number(torch::tensor({2.5}, torch::kDouble)).value() == 2.5);
  CHECK(fg::Number(torch::tensor(0.5f).to(torch::kBFloat16)).value() == 0.5);
  CHECK(fg::Number(torch::tensor(0.25f).to(torch::kHalf)).value() == 0.25);
  CHECK(fg::Number(torch::tensor(7)).value() == 7.0);
  CHECK(fg::Number(torch::tensor(7).to(torch::kInt)).value() == 7.0);
  CHECK(fg::Number(torch::tensor(3).to(torch::kByte)).value() == 3.0);
  CHECK(fg::Number(torch::tensor(1.0) > 0.0).value() == 1.0);
  CHECK(fg::Number(torch::tensor(1.0) < 0.0).value() == 0.0);
  CHECK(fg::Number(torch::tensor({2.5}).to_sparse()).value() == 2.5);
  CHECK_THROWS_AS(fg::read_number(torch::empty({}, torch::kMeta)), c10::Error);
  CHECK_THROWS_WITH(
      fg::Number(torch::ones({2})),
      "fulgurite: step.log takes a tensor with one element, and this one has 2: log its mean() or sum()");
  CHECK_THROWS_WITH(
      fg::to_number<at::Tensor>::read(torch::ones({2})),
      "fulgurite: step.log takes a tensor with one element, and this one has 2: log its mean() or sum()");
  CHECK_THROWS_WITH(fg::Number(torch::Tensor()), "fulgurite: step.log was given an undefined tensor");
}

TEST_CASE("a tensor on the host is read at once, and known by its address") {
  auto tensor = torch::tensor(1.5, torch::kDouble);
  const fg::Number number(tensor);
  CHECK_FALSE(number.is_far());
  tensor.fill_(9.0);
  CHECK(number.value() == 1.5);
  CHECK(number.source<at::Tensor>() == &tensor);
  CHECK(number.source<double>() == nullptr);
}

TEST_CASE("tensors that are read later are kept as they were, without graph, and read together") {
  fg::Metrics metrics;
  auto weight = torch::tensor({2.0f}, torch::requires_grad());
  const auto counter = torch::tensor(0, torch::kLong);
  for (int i = 1; i <= 3; ++i) {
    const auto loss = weight * i;  // of shape [1]
    counter.add_(1);               // overwritten
    metrics.log("loss", AsIfFar{loss}, 1.0, fg::on_epoch, fg::Stage::training);
    metrics.log("counter", AsIfFar{counter}, 1.0, fg::epoch_sum, fg::Stage::training);
  }
  CHECK(metrics.value("loss") == 4.0);
  CHECK(metrics.value("counter") == 6.0);
  CHECK_FALSE(fg::to_number<at::Tensor>::keep(weight).requires_grad());

  const auto exact = torch::tensor(1.5, torch::kDouble);  // of the format in which values are kept
  const auto kept = fg::to_number<at::Tensor>::keep(exact);
  exact.fill_(9.0);
  CHECK(kept.item<double>() == 1.5);
}

TEST_CASE("values of one device are read with one operator, those of another on their own") {
  const auto scalar = [](double value) { return torch::tensor(value, torch::kDouble); };
  const std::vector<at::Tensor> kept{scalar(1.5), scalar(-2.0), scalar(4.0)};
  std::vector<double> values(3);
  stacks = 0;
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback(count_stack).scopes({at::RecordScope::FUNCTION}));
  fg::to_number<at::Tensor>::read(kept, values.data());
  at::removeCallback(handle);
  CHECK(values == std::vector<double>{1.5, -2.0, 4.0});
  CHECK(stacks == 1);

  // A tensor on the meta device has no value to read: what is on the host has been read before.
  const std::vector<at::Tensor> mixed{scalar(7.0), torch::empty({}, torch::dtype(torch::kDouble).device(torch::kMeta))};
  CHECK_THROWS_AS(fg::to_number<at::Tensor>::read(mixed, values.data()), c10::Error);
  CHECK(values[0] == 7.0);
}
