// SPDX-License-Identifier: MIT
// The weights of a model in a file, in LibTorch's own archive format.
#pragma once

#include <torch/serialize/archive.h>

#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace fulgurite {

/// Writes parameters and buffers. The file appears whole or not at all: it is written beside its place and then renamed.
template <class Model>
void save_weights(const Model& model, const std::filesystem::path& path) {
  torch::serialize::OutputArchive archive;
  model.save(archive);
  auto beside = path;
  beside += ".part";
  archive.save_to(beside.string());
  std::filesystem::rename(beside, path);
}

/// Reads what `save_weights` wrote into a model of the same shape. Throws std::runtime_error that names the file.
template <class Model>
void load_weights(Model& model, const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    throw std::runtime_error("fulgurite: there is no weights file " + path.string());
  }
  try {
    torch::serialize::InputArchive archive;
    archive.load_from(path.string());
    model.load(archive);
  } catch (const std::exception& error) {
    throw std::runtime_error("fulgurite: " + path.string() + " does not hold the weights of this model: " + error.what());
  }
}

}  // namespace fulgurite
