// SPDX-License-Identifier: MIT
// What every peer trains: models, their first parameters, batches. problems.py says the same in Python, number for number:
// both draw from one hash, so no framework's generator has a part in it.
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/data/csv.hpp>

namespace peers {

namespace nn = torch::nn;

using Batch = torch::data::Example<>;

/// The i-th of a stream's 64-bit numbers (Vigna's splitmix64 at a counter).
inline std::uint64_t hashed(std::uint64_t stream, std::int64_t i) {
  std::uint64_t z = (stream << 32U) + static_cast<std::uint64_t>(i) + 1;
  z *= 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

/// Numbers in [-1, 1), in steps that float32 holds exactly.
inline at::Tensor uniform(std::uint64_t stream, at::IntArrayRef shape) {
  at::Tensor numbers = at::empty(shape);
  auto* out = numbers.data_ptr<float>();
  for (std::int64_t i = 0; i < numbers.numel(); ++i) {
    out[i] = static_cast<float>(hashed(stream, i) >> 40U) * 0x1p-23F - 1.0F;
  }
  return numbers;
}

/// Integers in [0, below).
inline at::Tensor integers(std::uint64_t stream, std::int64_t below, at::IntArrayRef shape) {
  at::Tensor numbers = at::empty(shape, at::kLong);
  auto* out = numbers.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < numbers.numel(); ++i) {
    out[i] = static_cast<std::int64_t>((hashed(stream, i) >> 32U) % static_cast<std::uint64_t>(below));
  }
  return numbers;
}

/// Matrices and kernels get ±1/sqrt(fan in), biases 0, scales of a norm 1.
inline void initialize(nn::Module& model) {
  const torch::NoGradGuard no_grad;
  std::uint64_t stream = 0;
  for (auto& [name, parameter] : model.named_parameters().pairs()) {
    if (parameter.dim() >= 2) {
      const auto fan_in = static_cast<double>(parameter.numel() / parameter.size(0));
      parameter.copy_(uniform(stream, parameter.sizes()).mul_(static_cast<float>(1.0 / std::sqrt(fan_in))));
    } else {
      parameter.fill_(name.ends_with("bias") ? 0.0 : 1.0);
    }
    if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
    ++stream;
  }
}

struct Mlp : nn::Module {
  Mlp(std::int64_t inputs, std::int64_t width, std::int64_t classes)
      : net(register_module("net",
                            nn::Sequential{nn::Linear(inputs, width), nn::ReLU(), nn::Linear(width, width), nn::ReLU(),
                                           nn::Linear(width, classes)})) {}

  at::Tensor loss(const Batch& batch) {
    return nn::functional::cross_entropy(net->forward(batch.data), batch.target);
  }

  nn::Sequential net;
};

/// Two convolutions and a linear layer on the 8 × 8 handwritten digits of examples/data.
struct DigitsNet : nn::Module {
  nn::Sequential net = register_module(
      "net", nn::Sequential{nn::Conv2d(nn::Conv2dOptions(1, 16, 3).padding(1)), nn::ReLU(), nn::MaxPool2d(2),
                            nn::Conv2d(nn::Conv2dOptions(16, 32, 3).padding(1)), nn::ReLU(), nn::MaxPool2d(2),
                            nn::Flatten(), nn::Linear(32 * 2 * 2, 10)});

  at::Tensor loss(const Batch& batch) {
    return nn::functional::cross_entropy(net->forward(batch.data), batch.target);
  }
};

inline constexpr std::int64_t tokens = 64, length = 16, width = 64, heads = 4;

/// Attention and a feed-forward part, each behind a layer norm.
struct Block : nn::Module {
  nn::LayerNorm norm1 = register_module("norm1", nn::LayerNorm(nn::LayerNormOptions({width})));
  nn::Linear qkv = register_module("qkv", nn::Linear(width, 3 * width));
  nn::Linear out = register_module("out", nn::Linear(width, width));
  nn::LayerNorm norm2 = register_module("norm2", nn::LayerNorm(nn::LayerNormOptions({width})));
  nn::Linear up = register_module("up", nn::Linear(width, 4 * width));
  nn::Linear down = register_module("down", nn::Linear(4 * width, width));

  at::Tensor forward(const at::Tensor& x) {
    const std::int64_t batch = x.size(0);
    const auto parts = qkv->forward(norm1->forward(x))
                           .view({batch, length, 3, heads, width / heads})
                           .permute({2, 0, 3, 1, 4})
                           .unbind(0);
    const auto attended = at::scaled_dot_product_attention(parts[0], parts[1], parts[2]);
    const auto y = x + out->forward(attended.transpose(1, 2).reshape({batch, length, width}));
    return y + down->forward(at::gelu(up->forward(norm2->forward(y))));
  }
};

/// Two blocks of width 64, four heads.
struct Transformer : nn::Module {
  at::Tensor positions = register_parameter("positions", at::empty({length, width}));
  nn::Embedding embedding = register_module("embedding", nn::Embedding(tokens, width));
  std::shared_ptr<Block> block1 = register_module("block1", std::make_shared<Block>());
  std::shared_ptr<Block> block2 = register_module("block2", std::make_shared<Block>());
  nn::LayerNorm norm = register_module("norm", nn::LayerNorm(nn::LayerNormOptions({width})));
  nn::Linear head = register_module("head", nn::Linear(width, tokens));

  at::Tensor loss(const Batch& batch) {
    const auto x = block2->forward(block1->forward(embedding->forward(batch.data) + positions));
    const auto scores = head->forward(norm->forward(x));
    return nn::functional::cross_entropy(scores.view({-1, tokens}), batch.target.view({-1}));
  }
};

/// Sixteen batches are taken in turn, from memory: what is compared is the step, not the loading.
inline constexpr std::int64_t pool = 16;

inline std::vector<Batch> split(const at::Tensor& data, const at::Tensor& targets) {
  std::vector<Batch> split;
  const auto data_parts = data.chunk(pool), target_parts = targets.chunk(pool);
  for (std::size_t i = 0; i < data_parts.size(); ++i) split.emplace_back(data_parts[i].clone(), target_parts[i].clone());
  return split;
}

inline std::vector<Batch> vectors(std::int64_t batch, std::int64_t inputs) {
  return split(uniform(1000, {pool * batch, inputs}).mul_(2), integers(1001, 10, {pool * batch}));
}

inline std::vector<Batch> images(const std::filesystem::path& digits) {
  const auto table = fulgurite::data::read_csv(digits, {.columns = 65}).narrow(0, 0, pool * 32);
  const auto data = table.narrow(1, 0, 64).div(16);
  // Channels last: of one channel the memory is the same, but only the strides tell.
  return split(data.as_strided({data.size(0), 1, 8, 8}, {64, 1, 8, 1}), table.select(1, 64).to(at::kLong));
}

inline std::vector<Batch> sentences(std::int64_t batch) {
  return split(integers(1000, tokens, {pool * batch, length}), integers(1001, tokens, {pool * batch, length}));
}

enum class Device { cpu, gpu };

/// Calls `visit.operator()<Network, Device>(name, make_batches, constructor arguments...)` for each problem.
/// The last one keeps a GPU busy whatever the host does: there everybody should be equally fast.
template <class Visit>
void for_each_problem(const std::filesystem::path& digits, Visit visit) {
  for (const std::int64_t hidden : {16, 64, 256}) {
    visit.template operator()<Mlp, Device::cpu>(
        "mlp-" + std::to_string(hidden), [] { return vectors(32, 32); }, std::int64_t{32}, hidden, std::int64_t{10});
  }
  visit.template operator()<DigitsNet, Device::cpu>("digits", [digits] { return images(digits); });
  visit.template operator()<Transformer, Device::cpu>("transformer", [] { return sentences(8); });
  if (torch::cuda::is_available()) {
    visit.template operator()<Mlp, Device::gpu>(
        "gpu", [] { return vectors(16384, 256); }, std::int64_t{256}, std::int64_t{4096}, std::int64_t{10});
  }
}

}  // namespace peers
