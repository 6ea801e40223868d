// SPDX-License-Identifier: MIT
// The weights of a model in a file, in LibTorch's own archive format.
#pragma once

#include <ATen/core/Dict.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/serialize/archive.h>

#include <cstddef>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <fulgurite/optim/state_dict.hpp>
#include <fulgurite/tensors/shape.hpp>
#include "detail/pickle.hpp"
#include "detail/whole_file.hpp"

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

/// The weights of a checkpoint in the order of the model's. Throws std::runtime_error that names what does not fit.
inline std::vector<at::Tensor> loaded_weights(const std::vector<NamedWeight>& weights, const c10::IValue& state_dict) {
  std::vector<at::Tensor> loaded;
  if (!state_dict.isGenericDict()) throw std::runtime_error("it has no weights by name");
  const auto entries = state_dict.toGenericDict();
  for (const auto& [name, weight] : weights) {
    const auto found = entries.find(name);
    if (found == entries.end() || !found->value().isTensor()) {
      throw std::runtime_error("it has no weight " + name + ", which the model has");
    }
    if (!loaded.emplace_back(found->value().toTensor()).sizes().equals(weight.sizes())) {
      throw std::runtime_error(name + " is " + shape_of(loaded.back()) + " there and " + shape_of(weight) + " in the model");
    }
  }
  return loaded;
}

/// The file is an archive, as save_weights writes it.
inline bool is_archive(const std::filesystem::path& path) {
  try {
    torch::serialize::InputArchive archive;
    archive.load_from(path.string());
    return true;
  } catch (const c10::Error&) {
    return false;
  }
}

/// The weights in what `save_checkpoint` wrote.
inline std::vector<at::Tensor> weights_of_checkpoint(const std::vector<NamedWeight>& weights,
                                                     const std::filesystem::path& path) {
  const c10::IValue file = read_pickle(path);
  const auto entries = file.isGenericDict() ? file.toGenericDict() : new_dict(c10::StringType::get());
  const auto found = entries.find("state_dict");
  if (found == entries.end()) throw std::runtime_error("it is no checkpoint");
  return loaded_weights(weights, found->value());
}

/// The weights in what `save_weights` wrote.
template <class Model>
std::vector<at::Tensor> weights_of_archive(Model& model, const std::vector<NamedWeight>& weights,
                                           const std::filesystem::path& path) {
  std::vector<at::Tensor> places;  // LibTorch's load puts other memory behind each weight, whatever its shape
  for (const auto& [name, weight] : weights) places.push_back(weight.detach());
  std::exception_ptr problem;
  try {
    torch::serialize::InputArchive archive;
    archive.load_from(path.string());
    model.load(archive);
  } catch (...) {
    problem = std::current_exception();
  }
  std::vector<at::Tensor> loaded;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    loaded.push_back(weights[i].tensor.detach());
    weights[i].tensor.set_data(places[i]);
  }
  if (problem) std::rethrow_exception(problem);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto& [name, weight] = weights[i];
    if (loaded[i].sizes().equals(weight.sizes())) continue;
    throw std::runtime_error(name + " is " + shape_of(loaded[i]) + " there and " + shape_of(weight) + " in the model");
  }
  return loaded;
}

}  // namespace detail

/// Writes parameters and buffers. The file appears whole or not at all, even if the process is killed or the power is cut
/// meanwhile. Throws std::runtime_error that names the file.
template <class Model>
void save_weights(const Model& model, const std::filesystem::path& path) {
  detail::write_whole(path, "weights", [&](detail::NewFile& file) {
    torch::serialize::OutputArchive archive;
    model.save(archive);
    std::exception_ptr problem;  // the archive's destructor goes on writing after an error, and may not throw then
    archive.save_to([&](const void* data, std::size_t size) {
      try {
        if (!problem) file.write(data, size);
      } catch (...) {
        problem = std::current_exception();
      }
      return size;
    });
    if (problem) std::rethrow_exception(problem);
  });
}

/// Reads what `save_weights` wrote, or the weights in what `save_checkpoint` wrote, into a model of the same shape. Throws
/// std::runtime_error that names the file and what does not fit; the model's weights are then as they were. Each weight stays
/// where it lies in memory.
template <class Model>
void load_weights(Model& model, const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    throw std::runtime_error("fulgurite: there is no weights file " + path.string());
  }
  const c10::NoGradGuard no_grad;
  const auto weights = detail::weights_of(model);
  std::string problem;
  try {
    const auto loaded = detail::is_archive(path) ? detail::weights_of_archive(model, weights, path)
                                                 : detail::weights_of_checkpoint(weights, path);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i].tensor.copy_(loaded[i]);
    return;
  } catch (const c10::Error& error) {
    problem = error.what_without_backtrace();
  } catch (const std::runtime_error& error) {
    problem = error.what();
  }
  throw std::runtime_error("fulgurite: " + path.string() + " does not hold the weights of this model: " + problem);
}

}  // namespace fulgurite
