// SPDX-License-Identifier: MIT
// A model to freeze, and what has to hold for each. Type-erased: the suite is compiled once.
#pragma once

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace frozen_tests {

namespace nn = torch::nn;
namespace F = torch::nn::functional;
using torch::Tensor;
using Batch = std::vector<Tensor>;

struct Model {
  std::shared_ptr<nn::Module> module;
  std::function<Tensor(const Batch&)> loss;
  std::function<Batch()> batch;  // draws another one
};

/// 50 eager steps, and 50 of which all but the first three are replays: the same losses, gradients, parameters and
/// buffers after each step, bit for bit, with every optimizer: on the tape where its numbers are tensors, after the replay
/// otherwise.
void frozen_equals_eager(const std::function<Model()>& make);

/// The same bits, or both undefined.
bool same_bits(const Tensor& a, const Tensor& b);

inline std::function<Batch()> classes(std::vector<std::int64_t> shape, std::int64_t count) {
  return [shape, count] {
    const auto x = torch::randn(shape);
    return Batch{x, torch::randint(count, {shape[0]})};
  };
}

inline std::function<Batch()> regression(std::vector<std::int64_t> shape, std::vector<std::int64_t> targets) {
  return [shape, targets] {
    const auto x = torch::randn(shape);
    return Batch{x, torch::randn(targets)};
  };
}

inline Model classifier(nn::Sequential net, std::function<Batch()> batch) {
  return {net.ptr(), [net](const Batch& b) mutable { return F::cross_entropy(net->forward(b[0]), b[1]); }, std::move(batch)};
}

inline Model regressor(nn::Sequential net, std::function<Batch()> batch) {
  return {net.ptr(), [net](const Batch& b) mutable { return F::mse_loss(net->forward(b[0]), b[1]); }, std::move(batch)};
}

/// Parameters without layers.
struct Bare : nn::Module {
  Tensor& parameter(const char* name, std::vector<std::int64_t> shape) {
    return register_parameter(name, torch::randn(shape) * 0.3);
  }
};

}  // namespace frozen_tests
