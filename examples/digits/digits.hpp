// SPDX-License-Identifier: MIT
// The digits demo's data: 1,797 handwritten digits, where they come from and how they look in a terminal.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iomanip>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>
#include <ATen/ops/bincount.h>

#include <fulgurite/data/csv.hpp>
#include <fulgurite/data/split.hpp>
#include <fulgurite/data/tensor_dataset.hpp>

namespace digits {

inline constexpr std::int64_t classes = 10;
inline constexpr std::int64_t side = 8;                // an image is `side` × `side`
inline constexpr std::int64_t brightest_in_file = 16;  // and its pixels go from 0 to this

/// Images as float32 `[1797, 1, 8, 8]` from 0 to 1, labels as int64 `[1797]`.
inline fulgurite::data::TensorDataset load(const std::filesystem::path& file) {
  const at::Tensor table = fulgurite::data::read_csv(file, {.columns = side * side + 1, .rows = 1797});
  const at::Tensor pixels = table.narrow(1, 0, side * side);
  const at::Tensor labels = table.select(1, side * side);
  const auto outside = [](const at::Tensor& values, std::int64_t most) {
    return values.lt(0).logical_or(values.gt(most)).any().item<bool>();
  };
  if (outside(pixels, brightest_in_file) || outside(labels, classes - 1)) {
    throw std::runtime_error(file.string() + ": a pixel is not in 0 … 16, or a label not in 0 … 9");
  }
  return {pixels.div(brightest_in_file).reshape({-1, 1, side, side}), labels.to(at::kLong)};
}

struct Parts {
  fulgurite::data::TensorDataset train, validation, test;
};

/// 70 % to train on, 15 % to validate, 15 % to test. Runs with different seeds are compared on the same test images,
/// so this seed is not the run's.
inline Parts split(const fulgurite::data::TensorDataset& dataset, std::uint64_t seed = 0) {
  auto [train, validation, test] = fulgurite::data::split(dataset, {0.70, 0.15, 0.15}, seed);
  return {train, validation, test};
}

/// Draws images `[n, 1, 8, 8]` (or `[n, 64]`) side by side, with prediction and label `[n]` beneath each.
inline void draw(std::ostream& out, const at::Tensor& images, const at::Tensor& predictions, const at::Tensor& labels) {
  constexpr std::string_view shades[] = {"  ", "░░", "▒▒", "▓▓", "██"};  // a pixel is two columns wide, so square
  constexpr std::int64_t darkest = 0, brightest = std::ssize(shades) - 1, images_a_line = 5;
  constexpr int width = 2 * side, gap = 3;

  const at::Tensor shaded = images.detach().cpu().reshape({-1, side, side}).mul(brightest).round().to(at::kLong).clamp(
      darkest, brightest);
  const at::Tensor predicted = predictions.cpu().to(at::kLong), labelled = labels.cpu().to(at::kLong);
  const auto shade = shaded.accessor<std::int64_t, 3>();
  const auto guess = predicted.accessor<std::int64_t, 1>(), truth = labelled.accessor<std::int64_t, 1>();

  for (std::int64_t first = 0; first < shaded.size(0); first += images_a_line) {
    const std::int64_t last = std::min(first + images_a_line, shaded.size(0));
    for (std::int64_t row = 0; row < side; ++row) {
      for (std::int64_t image = first; image < last; ++image) {
        for (std::int64_t column = 0; column < side; ++column) {
          out << shades[static_cast<std::size_t>(shade[image][row][column])];
        }
        out << std::string(gap, ' ');
      }
      out << '\n';
    }
    for (std::int64_t image = first; image < last; ++image) {
      const bool right = guess[image] == truth[image];
      const std::string caption =
          "says " + std::to_string(guess[image]) + (right ? "" : ", is " + std::to_string(truth[image]));
      out << std::left << std::setw(width + gap) << caption << std::right;
    }
    out << "\n\n";
  }
}

/// Counts `[label, prediction]`, int64 `[10, 10]`, from labels and predictions `[n]`.
inline at::Tensor confusion_matrix(const at::Tensor& predictions, const at::Tensor& labels) {
  const at::Tensor cell = labels.cpu().to(at::kLong) * classes + predictions.cpu().to(at::kLong);
  return at::bincount(cell, {}, classes * classes).reshape({classes, classes});
}

/// Prints it as a table: a row for each label, a dot where there is nothing to count.
inline void print_confusion_matrix(std::ostream& out, const at::Tensor& matrix) {
  constexpr int width = 5;
  const auto count = matrix.accessor<std::int64_t, 2>();
  out << "label \\ says";
  for (std::int64_t prediction = 0; prediction < classes; ++prediction) out << std::setw(width) << prediction;
  out << '\n';
  for (std::int64_t label = 0; label < classes; ++label) {
    out << std::setw(12) << label;
    for (std::int64_t prediction = 0; prediction < classes; ++prediction) {
      const std::int64_t found = count[label][prediction];
      out << std::setw(width) << (found == 0 ? "." : std::to_string(found));
    }
    out << '\n';
  }
}

}  // namespace digits
