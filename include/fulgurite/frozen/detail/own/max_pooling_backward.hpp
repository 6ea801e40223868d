// SPDX-License-Identifier: MIT
// The backward pass of max pooling: LibTorch copies to another layout and back where those of gradient and image differ.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include <fulgurite/frozen/detail/call.hpp>
#include <fulgurite/frozen/detail/instruction.hpp>
#include "layouts.hpp"

namespace fulgurite::detail {

/// Each gradient is added where the maximum was. Within a plane in LibTorch's order, row by row.
template <class Number>
class MaxPoolingBackward : public Call {
 public:
  MaxPoolingBackward(at::Tensor gradient, at::Tensor places, at::Tensor to)
      : gradient_(std::move(gradient)), places_(std::move(places)), to_(std::move(to)) {}

  void run() override {
    if (to_.stride(1) == 1) {
      add</*to_next_channel=*/1>(/*outer=*/2, /*middle=*/3, /*inner=*/1);
    } else {
      add</*to_next_channel=*/0>(/*outer=*/1, /*middle=*/2, /*inner=*/3);
    }
  }

 private:
  /// The dimensions as they are walked, from outside. The step to the next channel is 0 where that is the outermost.
  template <std::int64_t to_next_channel>
  void add(std::int64_t outer, std::int64_t middle, std::int64_t inner) {
    const Steps gradient_steps(gradient_, outer, middle, inner), place_steps(places_, outer, middle, inner);
    const auto* const gradients = static_cast<const Number*>(gradient_.const_data_ptr());
    const auto* const places = static_cast<const std::int64_t*>(places_.const_data_ptr());
    auto* image = static_cast<Number*>(to_.mutable_data_ptr());
    const std::int64_t numbers = to_.stride(0), column = to_.stride(3);
    const std::int64_t to_next_plane = to_next_channel == 0 ? to_.stride(1) : 0;
    const std::int64_t outer_count = gradient_.size(outer), middle_count = gradient_.size(middle);
    const std::int64_t count = gradient_.size(inner);
    for (std::int64_t n = 0; n < gradient_.size(0); ++n, image += numbers) {
      std::memset(image, 0, static_cast<std::size_t>(numbers) * sizeof(Number));  // only now, so that it is still near
      for (std::int64_t i = 0; i < outer_count; ++i) {
        Number* const to = image + i * to_next_plane;
        for (std::int64_t k = 0; k < middle_count; ++k) {
          const Number* gradient = gradients + gradient_steps.to(n, i, k);
          const std::int64_t* place = places + place_steps.to(n, i, k);
          for (std::int64_t j = 0; j < count; ++j, gradient += gradient_steps.inner, place += place_steps.inner) {
            to[j * to_next_channel + *place * column] += *gradient;
          }
        }
      }
    }
  }

  struct Steps {
    std::int64_t image, outer, middle, inner;
    Steps(const at::Tensor& tensor, std::int64_t outer_dimension, std::int64_t middle_dimension,
          std::int64_t inner_dimension)
        : image(tensor.stride(0)), outer(tensor.stride(outer_dimension)), middle(tensor.stride(middle_dimension)),
          inner(tensor.stride(inner_dimension)) {}
    std::int64_t to(std::int64_t n, std::int64_t i, std::int64_t k) const { return n * image + i * outer + k * middle; }
  };

  at::Tensor gradient_;
  at::Tensor places_;
  at::Tensor to_;
};

inline std::unique_ptr<Call> max_pooling_backward_call(const Instruction& instruction) {
  const auto& schema = instruction.op.schema();
  if (instruction.how != Instruction::How::out || schema.name() != "aten::max_pool2d_with_indices_backward") return nullptr;
  const at::Tensor& gradient = instruction.arguments[0].toTensor();
  const at::Tensor& places = instruction.arguments[7].toTensor();
  const at::Tensor& to = instruction.places[0].toTensor();
  const bool images = to.dim() == 4 && gradient.dim() == 4 && places.sizes() == gradient.sizes();
  if (!images || !is_float_or_double(to) || gradient.scalar_type() != to.scalar_type()) return nullptr;
  const bool rows_follow = to.stride(2) == to.size(3) * to.stride(3);  // a place is counted through a plane
  const bool images_follow = to.is_non_overlapping_and_dense() && to.stride(0) * to.size(0) == to.numel();
  if (!is_for_one_thread(to) || !rows_follow || !images_follow || places.scalar_type() != at::kLong) return nullptr;
  return with_number(to, [&]<class Number>() -> std::unique_ptr<Call> {
    return std::make_unique<MaxPoolingBackward<Number>>(gradient, places, to);
  });
}

}  // namespace fulgurite::detail
