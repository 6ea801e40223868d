// SPDX-License-Identifier: MIT
// A GAN that draws the digit it is asked for, trained automatically and by hand.
#pragma once

#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <cstdint>
#include <filesystem>
#include <iomanip>
#include <sstream>
#include <vector>

#include "../digits/digits.hpp"
#include "png.hpp"

namespace gan {

namespace fg = fulgurite;
namespace nn = torch::nn;

inline constexpr std::int64_t noise_size = 32;

/// What both forms share: two networks that are told a digit's label, and the losses of each.
struct Networks : nn::Module {
  explicit Networks(double rate) : lr(rate) {}

  double lr;
  nn::Sequential generator =
      register_module("generator", nn::Sequential{nn::Linear(noise_size + digits::classes, 256), leaky(),
                                                  nn::Linear(256, 256), leaky(),
                                                  nn::Linear(256, digits::pixels), nn::Sigmoid()});
  nn::Sequential discriminator =
      register_module("discriminator", nn::Sequential{nn::Linear(digits::pixels + digits::classes, 256),
                                                      leaky(), nn::Dropout(0.3), nn::Linear(256, 256),
                                                      leaky(), nn::Dropout(0.3), nn::Linear(256, 1)});

  static nn::LeakyReLU leaky() { return nn::LeakyReLU(nn::LeakyReLUOptions().negative_slope(0.2)); }

  torch::Tensor draw(const torch::Tensor& noise, const torch::Tensor& labels) {
    return generator->forward(torch::cat({noise, nn::functional::one_hot(labels, digits::classes)}, 1));
  }
  torch::Tensor draw(const torch::Tensor& labels) {
    return draw(torch::randn({labels.size(0), noise_size}), labels);
  }

  /// Near 0 where the images are taken for what `label` says: 1 is real, 0 is drawn.
  torch::Tensor judge(const torch::Tensor& images, const torch::Tensor& labels, double label) {
    auto judged =
        discriminator->forward(torch::cat({images, nn::functional::one_hot(labels, digits::classes)}, 1));
    return nn::functional::binary_cross_entropy_with_logits(judged, torch::full_like(judged, label));
  }

  torch::Tensor generator_loss(const fg::Example& batch) {
    return judge(draw(batch.target), batch.target, 1);
  }
  torch::Tensor discriminator_loss(const fg::Example& batch) {
    auto real = judge(batch.data, batch.target, 0.9);  // not quite sure: it trains better
    auto drawn = judge(draw(batch.target).detach(), batch.target, 0);
    return real + drawn;
  }

  auto configure_optimizers() {
    const fg::AdamOptions options{.lr = lr, .betas = {0.5, 0.999}};
    return fg::optimizers(fg::Adam(generator->parameters(), options),
                          fg::Adam(discriminator->parameters(), options));
  }
};

// [automatic]
struct AutomaticGan : Networks {
  using Networks::Networks;

  torch::Tensor training_step(const fg::Example& batch, auto& step, fg::OptimizerIndex<0>) {
    auto loss = generator_loss(batch);
    step.log("g_loss", loss, fg::prog_bar | fg::on_epoch);
    return loss;
  }
  torch::Tensor training_step(const fg::Example& batch, auto& step, fg::OptimizerIndex<1>) {
    auto loss = discriminator_loss(batch);
    step.log("d_loss", loss, fg::prog_bar | fg::on_epoch);
    return loss;
  }
};
// [/automatic]

// [manual]
struct ManualGan : Networks {
  using Networks::Networks;

  void training_step(const fg::Example& batch, auto& step) {
    auto [g_opt, d_opt] = step.optimizers();
    {
      auto only = step.toggle(g_opt);
      auto loss = generator_loss(batch);
      g_opt.zero_grad();
      step.manual_backward(loss);
      g_opt.step();
      step.log("g_loss", loss, fg::prog_bar | fg::on_epoch);
    }
    {
      auto only = step.toggle(d_opt);
      auto loss = discriminator_loss(batch);
      d_opt.zero_grad();
      step.manual_backward(loss);
      d_opt.step();
      step.log("d_loss", loss, fg::prog_bar | fg::on_epoch);
    }
  }
};
// [/manual]

// [gallery]
/// Draws the same noise every few epochs: ten columns, one a digit.
struct Gallery {
  using slot = fg::slots::Callback;

  std::filesystem::path folder;
  std::int64_t every = 10;  ///< epochs
  torch::Tensor noise;      ///< of one column: every digit is drawn from it

  void on_train_epoch_end(auto& step) {
    if ((step.epoch() + 1) % every != 0) return;
    std::ostringstream name;
    name << "epoch_" << std::setw(4) << std::setfill('0') << step.epoch() + 1 << ".png";
    write_png(folder / name.str(), grid(step.model(), noise));
  }

  static torch::Tensor grid(Networks& model, const torch::Tensor& noise) {
    const torch::NoGradGuard no_grad;
    constexpr std::int64_t gap = 8;
    const auto zoom = nn::functional::InterpolateFuncOptions()
                          .scale_factor(std::vector<double>{6, 6})
                          .mode(torch::kBicubic)
                          .align_corners(false);
    std::vector<torch::Tensor> columns;
    for (std::int64_t digit = 0; digit < digits::classes; ++digit) {
      auto images = model.draw(noise, torch::full({noise.size(0)}, digit, torch::kLong))
                        .view({-1, 1, digits::side, digits::side});
      auto zoomed = nn::functional::interpolate(images, zoom);
      columns.push_back(torch::constant_pad_nd(zoomed, {0, gap, 0, gap}).flatten(0, 2));
    }
    return torch::cat(columns, 1);
  }
};
// [/gallery]

/// The share of drawn digits whose nearest real image is the digit that was asked for.
inline double recognised(Networks& model, const fg::data::TensorDataset& real) {
  const torch::NoGradGuard no_grad;
  const auto labels = torch::arange(digits::classes).repeat({50});
  const auto drawn = model.draw(labels);
  const auto nearest = torch::cdist(drawn, real.inputs()).argmin(1);
  return (real.targets().index_select(0, nearest) == labels).to(torch::kFloat).mean().item<double>();
}

}  // namespace gan
