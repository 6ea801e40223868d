// SPDX-License-Identifier: MIT
// What cannot be frozen is named, with the fix.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <fulgurite/frozen/frozen_refusal.hpp>
#include <fulgurite/frozen/tape.hpp>

#include <functional>
#include <string>

namespace fg = fulgurite;

namespace {

/// The operator that was refused; empty: none was.
std::string refused(const std::function<void(const torch::Tensor&)>& step) {
  const auto x = torch::randn({4, 4});
  try {
    fg::Tape::record([&] { step(x); }, {x});
  } catch (const fg::FrozenRefusal& refusal) {
    CHECK(std::string(refusal.what()).starts_with("fulgurite: a step with " + refusal.operator_name()));
    return refusal.operator_name();
  }
  return "";
}

}  // namespace

TEST_CASE("reading a changing value on the host is refused") {
  CHECK(refused([](const auto& x) { x.sum().template item<float>(); }) == "aten::_local_scalar_dense");
  CHECK(refused([](const auto& x) { if (x.sum().gt(0).is_nonzero()) x.add_(1); }) == "aten::_local_scalar_dense");
  CHECK(refused([](const auto& x) { x.equal(x + 1); }) == "aten::equal");
  CHECK(refused([](const auto& x) { torch::allclose(x, x + 1); }) == "aten::allclose");
  CHECK(refused([](const auto&) { torch::rand({}).template item<float>(); }) == "aten::_local_scalar_dense");
}

TEST_CASE("shapes that depend on changing values are refused") {
  CHECK(refused([](const auto& x) { torch::nonzero(x); }) == "aten::nonzero");
  CHECK(refused([](const auto& x) { x.masked_select(x > 0); }) == "aten::masked_select");
  CHECK(refused([](const auto& x) { torch::index(x, {x > 0}); }) == "aten::index.Tensor");
  CHECK(refused([](const auto& x) { torch::_unique2(x); }) == "aten::_unique2");
  CHECK(refused([](const auto& x) { torch::unique_dim(x, 0); }) == "aten::unique_dim");
  CHECK(refused([](const auto& x) { torch::repeat_interleave(x.abs().to(torch::kLong).flatten()); }) ==
        "aten::repeat_interleave.Tensor");
}

TEST_CASE("a tensor that is not dense is refused") {
  CHECK(refused([](const auto& x) { x.to_sparse(); }) != "");
}

TEST_CASE("a read whose value cannot change is allowed") {
  const auto weights = torch::ones({3});
  CHECK(refused([](const auto&) { torch::ones({2}).sum().template item<float>(); }) == "");
  CHECK(refused([&](const auto&) { weights.sum().item<float>(); }) == "");
  CHECK(refused([](const auto& x) { x.equal(x); }) == "");
  CHECK(refused([](const auto&) { torch::nonzero(torch::eye(3)); }) == "");
}

TEST_CASE("a value that is read first and written later in the step changes") {
  const auto counter = torch::zeros({});
  CHECK(refused([&](const auto&) {
          counter.item<float>();
          counter.add_(1);
        }) == "aten::_local_scalar_dense");
}

TEST_CASE("after a refusal the thread records nothing") {
  const auto x = torch::randn({4});
  CHECK_THROWS_AS(fg::Tape::record([&] { x.sum().item<float>(); }, {x}), fg::FrozenRefusal);
  CHECK(x.sum().item<float>() == x.sum().item<float>());
  CHECK(fg::Tape::record([&] { x.mul_(2); }, {x}).size() == 1);
}
