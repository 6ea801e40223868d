// SPDX-License-Identifier: MIT
// The weights of a model in a file, in LibTorch's own archive format.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/serialize/archive.h>

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <fulgurite/tensors/shape.hpp>

namespace fulgurite {

namespace detail {

struct NamedWeight {
  std::string name;
  at::Tensor tensor;
};

template <class Model>
std::vector<NamedWeight> weights_of(const Model& model) {
  std::vector<NamedWeight> weights;
  for (const auto& parameter : model.named_parameters()) weights.push_back({parameter.key(), parameter.value()});
  for (const auto& buffer : model.named_buffers()) weights.push_back({buffer.key(), buffer.value()});
  return weights;
}

}  // namespace detail

/// Writes parameters and buffers. The file appears whole or not at all: it is written beside its place and then renamed.
/// Throws std::runtime_error that names the file.
template <class Model>
void save_weights(const Model& model, const std::filesystem::path& path) {
  const auto refuse = [&](const std::string& why) {
    throw std::runtime_error("fulgurite: cannot save weights to " + path.string() + ": " + why);
  };
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder)) refuse("there is no folder " + folder.string());
  auto beside = path;
  beside += ".part";
  try {
    torch::serialize::OutputArchive archive;
    model.save(archive);
    archive.save_to(beside.string());
    std::filesystem::rename(beside, path);
  } catch (const c10::Error& error) {
    refuse(error.what_without_backtrace());
  } catch (const std::system_error& error) {
    refuse(error.what());
  }
}

/// Reads what `save_weights` wrote into a model of the same shape. Throws std::runtime_error that names the file and
/// what does not fit; the model's weights are then as they were. Each weight stays where it lies in memory.
template <class Model>
void load_weights(Model& model, const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    throw std::runtime_error("fulgurite: there is no weights file " + path.string());
  }
  std::string problem;
  const c10::NoGradGuard no_grad;
  const auto weights = detail::weights_of(model);
  std::vector<at::Tensor> places;  // LibTorch's load puts other memory behind each weight, whatever its shape
  for (const auto& [name, weight] : weights) places.push_back(weight.detach());
  try {
    torch::serialize::InputArchive archive;
    archive.load_from(path.string());
    model.load(archive);
  } catch (const c10::Error& error) {
    problem = error.what_without_backtrace();
  }
  std::vector<at::Tensor> loaded;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto& [name, weight] = weights[i];
    loaded.push_back(weight.detach());
    weight.set_data(places[i]);
    if (problem.empty() && !loaded[i].sizes().equals(weight.sizes())) {
      problem = name + " is " + detail::shape_of(loaded[i]) + " there and " + detail::shape_of(weight) + " in the model";
    }
  }
  if (!problem.empty()) {
    throw std::runtime_error("fulgurite: " + path.string() + " does not hold the weights of this model: " + problem);
  }
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i].tensor.copy_(loaded[i]);
}

}  // namespace fulgurite
