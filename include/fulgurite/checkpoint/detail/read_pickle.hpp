// SPDX-License-Identifier: MIT
// Files as `torch.save` writes them.
#pragma once

#include <ATen/core/ivalue.h>
#include <torch/serialize.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

namespace fulgurite::detail {

/// The value in a file. Throws c10::Error if it is none of that kind, or cut short.
inline c10::IValue read_pickle(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
  return torch::pickle_load(bytes);
}

}  // namespace fulgurite::detail
