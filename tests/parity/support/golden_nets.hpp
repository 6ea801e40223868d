// SPDX-License-Identifier: MIT
// The two nets of the golden traces, and the losses that an optimizer of theirs has.
#pragma once

#include <torch/nn/functional/loss.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>

#include <cstddef>
#include <memory>
#include <string>

#include <fulgurite/data/example.hpp>

#include "any_optimizer.hpp"

namespace parity::golden {

/// l1, tanh, l2; the mean squared error.
struct MlpNet : torch::nn::Module {
  static constexpr const char* initial = "mlp";
  static constexpr const char* train_target = "y_train";
  static constexpr bool is_gan = false;

  torch::Tensor loss(const fg::Example& batch) {
    return torch::nn::functional::mse_loss(l2->forward(torch::tanh(l1->forward(batch.data))), batch.target);
  }
  /// That of one of several optimizers.
  torch::Tensor loss_for(std::size_t optimizer, const fg::Example& batch) {
    return loss(batch) * (1.0 + static_cast<double>(optimizer));
  }
  static std::string name_of_loss(std::size_t optimizer) { return "loss" + std::to_string(optimizer); }
  torch::Tensor validation_value(const fg::Example& batch) { return loss(batch); }

  torch::nn::Linear l1 = register_module("l1", torch::nn::Linear(8, 16));
  torch::nn::Linear l2 = register_module("l2", torch::nn::Linear(16, 4));
};

/// One half of the GAN.
struct HalfNet : torch::nn::Module {
  HalfNet(int in, int out)
      : l1(register_module("l1", torch::nn::Linear(in, 8))),
        l2(register_module("l2", torch::nn::Linear(8, out))) {}

  torch::Tensor forward(const torch::Tensor& x) { return l2->forward(torch::tanh(l1->forward(x))); }

  torch::nn::Linear l1, l2;
};

/// A generator G, which is optimizer 0's, and a discriminator D. A batch is x, and z as its target.
struct GanNet : torch::nn::Module {
  static constexpr const char* initial = "gan";
  static constexpr const char* train_target = "z_train";
  static constexpr bool is_gan = true;

  torch::Tensor generated(const fg::Example& batch) { return G->forward(batch.target); }
  torch::Tensor generator_error(const torch::Tensor& from) { return cross_entropy(D->forward(from), 1.0); }
  torch::Tensor discriminator_error(const fg::Example& batch, const torch::Tensor& from) {
    return cross_entropy(D->forward(batch.data), 1.0) + cross_entropy(D->forward(from.detach()), 0.0);
  }
  torch::Tensor loss_for(std::size_t optimizer, const fg::Example& batch) {
    return optimizer == 0 ? generator_error(generated(batch)) : discriminator_error(batch, generated(batch));
  }
  static std::string name_of_loss(std::size_t optimizer) { return optimizer == 0 ? "g_loss" : "d_loss"; }
  torch::Tensor validation_value(const fg::Example& batch) { return D->forward(batch.data).mean(); }

  std::shared_ptr<HalfNet> G = register_module("G", std::make_shared<HalfNet>(4, 8));
  std::shared_ptr<HalfNet> D = register_module("D", std::make_shared<HalfNet>(8, 1));

 private:
  static torch::Tensor cross_entropy(const torch::Tensor& logits, double target) {
    return torch::nn::functional::binary_cross_entropy_with_logits(logits, torch::full_like(logits, target));
  }
};

}  // namespace parity::golden
