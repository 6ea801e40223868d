// SPDX-License-Identifier: MIT
// Files as `torch.save` writes them. LibTorch's functions that do this from file to file (readArchiveAndTensors,
// writeArchiveAndTensors) stand in headers that cost every program a twentieth of its compile time, so the records are written
// one by one here, and torch::pickle_load takes the bytes.
#pragma once

#include <ATen/core/ivalue.h>
#include <c10/util/Exception.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/pickler.h>
#include <torch/serialize.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <ios>
#include <string>
#include <vector>

#include <fulgurite/detail/posix_file.hpp>
#include "zip_writer.hpp"

namespace fulgurite::detail {

/// Throws c10::Error unless `path` is an archive whose records all lie within the file: torch::pickle_load reads what the
/// archive's directory says, and beyond the last byte if that is not there.
inline void require_whole_archive(const std::filesystem::path& path) {
  caffe2::serialize::PyTorchStreamReader archive(path.string());
  const std::size_t end = std::filesystem::file_size(path);
  for (const std::string& record : archive.getAllRecords()) {
    const std::size_t begin = archive.getRecordOffset(record), size = archive.getRecordSize(record);
    TORCH_CHECK(begin <= end && size <= end - begin, "record ", record, " is cut short");
  }
}

/// The value in a file, which is held in memory meanwhile. Throws c10::Error if it is none of that kind, or cut short.
inline c10::IValue read_pickle(const std::filesystem::path& path) {
  require_whole_archive(path);
  std::vector<char> bytes(std::filesystem::file_size(path));
  std::ifstream stream(path, std::ios::binary);
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  TORCH_CHECK(stream.good(), "cannot read ", path.string());
  return torch::pickle_load(bytes);
}

/// Writes a value as torch::pickle_save does, but without the type names of lists and dictionaries, which `torch.load` takes for
/// code and refuses unless told otherwise. Throws c10::Error for a value that has no place in such a file, and FileError if the
/// disk does not take it.
inline void write_pickle(const c10::IValue& value, NewFile& file) {
  std::vector<char> structure;
  torch::jit::Pickler pickler([&](const char* bytes, std::size_t size) { structure.insert(structure.end(), bytes, bytes + size); },
                              nullptr, nullptr, nullptr, nullptr, /*tag_aggregates=*/false);
  pickler.protocol();
  pickler.pushIValue(value);
  pickler.stop();

  ZipWriter archive(file);
  std::size_t number = 0;
  for (const at::Tensor& tensor : pickler.tensorData()) {
    const auto record = torch::jit::getWriteableTensorData(tensor);
    archive.record("data/" + std::to_string(number++), record.data(), record.sizeInBytes());
  }
  archive.record("data.pkl", structure.data(), structure.size());
  archive.finish();
}

}  // namespace fulgurite::detail
