// SPDX-License-Identifier: MIT
// The digits demo's data: 1,797 handwritten digits, where they come from and how they look in a terminal.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iomanip>
#include <iostream>
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
inline constexpr std::int64_t pixels = side * side;
inline constexpr std::int64_t brightest_in_file = 16;  // a pixel goes from 0 to this
inline constexpr std::int64_t total = 1797;

struct Parts {
  fulgurite::data::TensorDataset train, validation, test;
};

/// Images as float32 `[n, 64]` from 0 to 1, labels as int64 `[n]`: 1197, 300 and 300 of them.
/// Runs with different seeds are compared on the same test images, so this seed is not the run's.
inline Parts load(const std::filesystem::path& file, std::uint64_t seed = 0) {
  const at::Tensor table = fulgurite::data::read_csv(file, {.columns = pixels + 1, .rows = total});
  const at::Tensor images = table.narrow(1, 0, pixels);
  const at::Tensor labels = table.select(1, pixels);
  const auto outside = [](const at::Tensor& values, std::int64_t most) {
    return values.lt(0).logical_or(values.gt(most)).any().item<bool>();
  };
  if (outside(images, brightest_in_file) || outside(labels, classes - 1)) {
    throw std::runtime_error(file.string() + ": a pixel is not in 0 … 16, or a label not in 0 … 9");
  }
  constexpr double held_out = 300.0 / total;
  auto [train, validation, test] = fulgurite::data::split(
      {images.div(brightest_in_file), labels.to(at::kLong)}, {1 - 2 * held_out, held_out, held_out}, seed);
  return {train, validation, test};
}

/// Draws images `[n, 64]` side by side, with prediction (and label, where it is another) beneath each.
inline void draw(const at::Tensor& images, const at::Tensor& predictions, const at::Tensor& labels,
                 std::ostream& out = std::cout) {
  constexpr std::string_view shades[] = {"  ", "░░", "▒▒", "▓▓", "██"};  // two columns a pixel: square
  constexpr std::int64_t brightest = std::ssize(shades) - 1, images_a_line = 4;
  constexpr int width = 2 * side, gap = 3;

  const at::Tensor levels = images.detach().cpu().mul(brightest).round().clamp(0, brightest);
  const at::Tensor shaded = levels.to(at::kLong).reshape({-1, side, side});
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

/// Prints how often each label was read as what: a row for each label, a dot where there is nothing to count.
inline void print_confusion(const at::Tensor& predictions, const at::Tensor& labels,
                            std::ostream& out = std::cout) {
  constexpr int width = 5;
  const at::Tensor matrix = confusion_matrix(predictions, labels);
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
