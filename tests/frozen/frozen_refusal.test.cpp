// SPDX-License-Identifier: MIT
// What cannot be frozen is named, with the fix.
#include <ATen/ThreadLocalState.h>
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <fulgurite/frozen/frozen_refusal.hpp>
#include <fulgurite/frozen/tape.hpp>
#include <fulgurite/optim/clipping.hpp>

#include <functional>
#include <future>
#include <string>
#include <vector>

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

TEST_CASE("a refusal says what is so, and what it advises is recorded") {
  const auto x = torch::randn({4, 4});
  const std::string host =
      "it reads, on the host, a value that changes from step to step, and a replay does not decide anew: keep the value in a "
      "tensor "
      "(torch::where instead of if, fg::clip_grad_norm_ instead of clip_grad_norm_), or read it after the step";
  const std::string shape =
      "the shape of what it makes depends on data that changes from step to step: use an operator with a fixed shape "
      "(torch::where or "
      "masked_fill instead of boolean indexing, a mask and weights instead of a selection)";
  const auto weight = torch::ones({4, 4}).requires_grad_();
  const auto backward = [&] {
    weight.mutable_grad().reset();
    (weight * x).sum().backward();
  };
  torch::nn::Embedding sparse(torch::nn::EmbeddingOptions(4, 2).sparse(true)), dense(4, 2);
  const auto looks_up = [](torch::nn::Embedding& table) { table->forward(torch::arange(3)).sum().backward(); };
  const auto elsewhere = [&] {
    const at::ThreadLocalState state;
    std::async(std::launch::async, [&] {
      const at::ThreadLocalStateGuard as_there(state);
      x.exp();
    }).get();
  };
  using Step = std::function<void()>;
  struct Row {
    std::string name, reason;
    Step step;
    std::vector<Step> advised;
  };
  const Row rows[] = {
      {"aten::_local_scalar_dense",
       host,
       [&] {
         if (x.sum().item<float>() > 0) x.add_(1);
       },
       {[&] { torch::where(x.sum() > 0, x + 1, x); }}},
      {"aten::_local_scalar_dense",
       host,
       [&] {
         backward();
         torch::nn::utils::clip_grad_norm_(std::vector<torch::Tensor>{weight}, 0.1, 2.0, /*error_if_nonfinite=*/true);
       },
       {[&] {
         backward();
         fg::clip_grad_norm_({weight}, 0.1);
       }}},
      {"aten::index.Tensor",
       shape,
       [&] { x.index({x > 0}).sum(); },
       {[&] { torch::where(x > 0, x, 0.0).sum(); }, [&] { x.masked_fill(x <= 0, 0.0).sum(); }, [&] { (x * (x > 0)).sum(); }}},
      {"aten::_sparse_coo_tensor_with_dims_and_tensors",
       "it works on a tensor that is not dense: use dense tensors (an Embedding without .sparse(true))",
       [&] { looks_up(sparse); },
       {[&] { looks_up(dense); }}},
      {"aten::empty_strided",
       "it works on a tensor on meta, and a tape replays operators of the CPU: move the model and its batches there",
       [&] { x.to(torch::kMeta); },
       {[&] { x.to(torch::kCPU); }}},
      {"aten::exp",
       "it ran on another thread than the step that is recorded: run all of the step on one thread",
       elsewhere,
       {[&] { x.exp(); }}},
  };
  for (const Row& row : rows) {
    INFO(row.reason);
    CHECK_THROWS_MATCHES(fg::Tape::record(row.step, {x}), fg::FrozenRefusal,
                         Catch::Matchers::Message("fulgurite: a step with " + row.name + " cannot be frozen: " + row.reason));
    for (const Step& step : row.advised) CHECK_NOTHROW(fg::Tape::record(step, {x}));
  }
}

TEST_CASE("a dispatch key that something else uses is named") {
  CHECK_THROWS_WITH(
      fg::detail::require_unused(c10::DispatchKey::Conjugate),
      "fulgurite: a step cannot be frozen in this program, since something else in it uses the dispatch key Conjugate "
      "(torchdistX, or a second copy of this library)");
  CHECK_NOTHROW(fg::detail::require_unused(c10::DispatchKey::FPGA));
}

TEST_CASE("after a refusal the thread records nothing") {
  const auto x = torch::randn({4});
  CHECK_THROWS_AS(fg::Tape::record([&] { x.sum().item<float>(); }, {x}), fg::FrozenRefusal);
  CHECK(x.sum().item<float>() == x.sum().item<float>());
  CHECK(fg::Tape::record([&] { x.mul_(2); }, {x}).size() == 1);
}
