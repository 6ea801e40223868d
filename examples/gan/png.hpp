// SPDX-License-Identifier: MIT
// Grey images as PNG files, by libpng.
#pragma once

#include <png.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace gan {

/// Writes `[height, width]` from 0 (black) to 1 (white). Throws std::runtime_error that names the file.
inline void write_png(const std::filesystem::path& file, const at::Tensor& grey) {
  const at::Tensor bytes = grey.detach().cpu().clamp(0, 1).mul(255).round().to(at::kByte).contiguous();
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.format = PNG_FORMAT_GRAY;
  image.height = static_cast<png_uint_32>(bytes.size(0));
  image.width = static_cast<png_uint_32>(bytes.size(1));
  if (png_image_write_to_file(&image, file.c_str(), 0, bytes.data_ptr<std::uint8_t>(), 0, nullptr) == 0) {
    throw std::runtime_error(file.string() + ": " + image.message);
  }
}

}  // namespace gan
