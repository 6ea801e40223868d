// SPDX-License-Identifier: MIT
// Files as `torch.save` writes them, from a value and back. LibTorch's own readers compare no checksum and no size, and the
// headers with its writers cost every program a twentieth of its compile time.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <cstddef>
#include <filesystem>
#include <string>

#include "input_bytes.hpp"
#include "pickler.hpp"
#include "torch_file.hpp"
#include "zip_writer.hpp"

namespace fulgurite::detail {

/// The value in a file. Throws UnreadableFile.
inline c10::IValue read_pickle(const std::filesystem::path& path) {
  return TorchFile(InputBytes::of_file(path.string())).value();
}

/// Writes a value as torch.save does. Throws c10::Error for a value that has no place in such a file, and what
/// `file.write(data, size)` throws.
template <class File>
void write_pickle(const c10::IValue& value, File& file) {
  const Pickler pickler(value);
  ZipWriter archive(file);
  archive.record("data.pkl", pickler.text().data(), pickler.text().size());
  std::size_t number = 0;
  for (const at::Tensor& tensor : pickler.records()) {
    archive.record("data/" + std::to_string(number++), tensor.const_data_ptr(), tensor.nbytes());
  }
  archive.finish();
}

}  // namespace fulgurite::detail
