// SPDX-License-Identifier: MIT
// Whether two tensors have the same bits, without keeping both.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace fulgurite::detail {

/// A number that all elements of all tensors go into, in order.
struct Fingerprint {
  std::uint64_t value = 0xcbf29ce484222325u;

  void operator()(const at::Tensor& tensor) {
    const at::Tensor elements = tensor.contiguous();
    const auto* bytes = static_cast<const unsigned char*>(elements.const_data_ptr());
    std::size_t left = elements.nbytes();
    for (; left > 0;) {
      std::uint64_t word = 0;
      const std::size_t taken = left < sizeof word ? left : sizeof word;
      std::memcpy(&word, bytes, taken);
      value = (value ^ word) * 0x100000001b3u;
      value ^= value >> 29;
      bytes += taken;
      left -= taken;
    }
  }
};

/// A NaN equals a NaN of the same bits, and 0 is not -0. An undefined tensor equals an undefined one.
inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) return false;
  const at::Tensor first = a.cpu().contiguous();
  const at::Tensor second = b.cpu().contiguous();
  return first.nbytes() == 0 || std::memcmp(first.const_data_ptr(), second.const_data_ptr(), first.nbytes()) == 0;
}

}  // namespace fulgurite::detail
