// SPDX-License-Identifier: MIT
// Files as `torch.save` writes them.
#pragma once

#include <ATen/core/ivalue.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/export.h>
#include <torch/csrc/jit/serialization/import_read.h>
#include <torch/csrc/jit/serialization/pickler.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <ios>
#include <optional>
#include <system_error>
#include <vector>

namespace fulgurite::detail {

/// The value in a file. Throws c10::Error if it is none of that kind, or cut short. (torch::pickle_load takes the bytes, and
/// reads beyond the last if there are too few.)
inline c10::IValue read_pickle(const std::filesystem::path& path) {
  caffe2::serialize::PyTorchStreamReader archive(path.string());
  return torch::jit::readArchiveAndTensors("data", "", "", std::nullopt, std::nullopt, std::nullopt, archive);
}

/// Writes a value as torch::pickle_save does, but without the type names of lists and dictionaries, which `torch.load` takes for
/// code and refuses unless told otherwise. Throws c10::Error for a value that has no place in such a file, and
/// std::filesystem::filesystem_error if the disk does not take it.
inline void write_pickle(const c10::IValue& value, const std::filesystem::path& path) {
  std::vector<char> structure;
  torch::jit::Pickler pickler([&](const char* bytes, std::size_t size) { structure.insert(structure.end(), bytes, bytes + size); },
                              nullptr, nullptr, nullptr, nullptr, /*tag_aggregates=*/false);
  pickler.protocol();
  pickler.pushIValue(value);
  pickler.stop();

  std::ofstream stream(path, std::ios::binary);
  {
    // It is never told of a full disk: its destructor goes on writing after an error, and may not throw then.
    caffe2::serialize::PyTorchStreamWriter archive([&](const void* bytes, std::size_t size) {
      stream.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
      return size;
    });
    torch::jit::writeArchiveAndTensors("data", structure.data(), structure.size(), pickler.tensorData(), archive);
  }
  if (!stream.flush()) {
    throw std::filesystem::filesystem_error("cannot write", path, std::make_error_code(std::errc::io_error));
  }
}

}  // namespace fulgurite::detail
