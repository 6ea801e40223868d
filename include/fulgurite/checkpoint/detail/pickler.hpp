// SPDX-License-Identifier: MIT
// Writes pickles as torch.save does: protocol 2, with nothing in them that `torch.load` takes for code.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/core/Layout.h>
#include <c10/util/Exception.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "number_formats.hpp"

namespace fulgurite::detail {

class Pickler {
 public:
  /// Throws c10::Error for a value that has no place in such a file.
  explicit Pickler(const c10::IValue& value) {
    text_ += "\x80\x02";
    put(value, 0);
    text_ += '.';
  }

  const std::string& text() const { return text_; }
  /// What the records data/0, data/1, … hold: tensors on the host whose values are side by side in memory.
  const std::vector<at::Tensor>& records() const { return records_; }

 private:
  static constexpr int deepest = 200;  // as TorchFile reads

  void put_number(std::uint64_t number, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) text_ += static_cast<char>((number >> (8 * i)) & 0xffU);
  }
  void put(std::int64_t value) {
    if (value >= 0 && value <= 0xff) {
      text_ += 'K';
      put_number(static_cast<std::uint64_t>(value), 1);
    } else if (value >= std::numeric_limits<std::int32_t>::min() && value <= std::numeric_limits<std::int32_t>::max()) {
      text_ += 'J';
      put_number(static_cast<std::uint64_t>(value), 4);
    } else {
      text_ += "\x8a\x08";
      put_number(static_cast<std::uint64_t>(value), 8);
    }
  }
  void put(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    text_ += 'G';
    for (int byte = 7; byte >= 0; --byte) text_ += static_cast<char>((bits >> (8 * byte)) & 0xffU);
  }
  void put(std::string_view text) {
    TORCH_CHECK(text.size() <= std::numeric_limits<std::uint32_t>::max(), "a text of more than 4 GiB has no place in it");
    text_ += 'X';
    put_number(text.size(), 4);
    text_ += text;
  }
  void put_global(std::string_view module, std::string_view name) {
    text_ += 'c';
    text_ += module;
    text_ += '\n';
    text_ += name;
    text_ += '\n';
  }
  void put(at::IntArrayRef numbers) {
    text_ += '(';
    for (const std::int64_t number : numbers) put(number);
    text_ += 't';
  }

  void put(const c10::IValue& value, int depth) {
    TORCH_CHECK(depth <= deepest, "its values are nested more than ", deepest, " deep, or contain themselves");
    if (value.isNone()) {
      text_ += 'N';
    } else if (value.isBool()) {
      text_ += value.toBool() ? '\x88' : '\x89';
    } else if (value.isInt()) {
      put(value.toInt());
    } else if (value.isDouble()) {
      put(value.toDouble());
    } else if (value.isComplexDouble()) {
      put_global("builtins", "complex");
      text_ += '(';
      put(value.toComplexDouble().real());
      put(value.toComplexDouble().imag());
      text_ += "tR";
    } else if (value.isString()) {
      put(std::string_view(value.toStringRef()));
    } else if (value.isTensor()) {
      put(value.toTensor());
    } else if (value.isGenericDict()) {
      text_ += "}(";
      for (const auto& each : value.toGenericDict()) {
        put(each.key(), depth + 1);
        put(each.value(), depth + 1);
      }
      text_ += 'u';
    } else if (value.isList()) {
      text_ += "](";
      for (const c10::IValue& each : value.toListRef()) put(each, depth + 1);
      text_ += 'e';
    } else if (value.isTuple()) {
      text_ += '(';
      for (const c10::IValue& each : value.toTupleRef().elements()) put(each, depth + 1);
      text_ += 't';
    } else {
      TORCH_CHECK(false, "a value of the kind ", value.tagKind(), " has no place in it");
    }
  }

  void put(const at::Tensor& given) {
    if (!given.defined()) {
      text_ += 'N';
      return;
    }
    const NumberFormat* const format = number_format_of(given.scalar_type());
    TORCH_CHECK(given.layout() == at::kStrided && !given.is_meta() && format != nullptr, "a tensor of the kind ",
                given.toString(), " has no place in it");
    // Values side by side are written as they are in memory, transposed ones too; others as a copy.
    at::Tensor tensor = given.detach().cpu().resolve_conj().resolve_neg();
    if (!tensor.is_non_overlapping_and_dense()) tensor = tensor.contiguous();
    const bool has_storage = !format->storage.empty();
    put_global("torch._utils", has_storage ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
    text_ += "((";
    put(std::string_view("storage"));
    put_global(has_storage ? "torch" : "torch.storage", has_storage ? format->storage : "UntypedStorage");
    put(std::string_view(std::to_string(record_of(tensor))));
    put(std::string_view("cpu"));
    put(has_storage ? tensor.numel() : static_cast<std::int64_t>(tensor.nbytes()));
    text_ += "tQ";
    put(std::int64_t{0});
    put(tensor.sizes());
    put(tensor.strides());
    text_ += '\x89';  // requires_grad
    put_global("collections", "OrderedDict");
    text_ += ")R";  // hooks
    if (!has_storage) put_global("torch", format->name);
    text_ += "tR";
  }

  /// Tensors with the same values in memory, as tied weights are, have one record.
  std::size_t record_of(const at::Tensor& tensor) {
    const auto [known, is_new] = places_.try_emplace(tensor.const_data_ptr(), records_.size());
    if (!is_new && tensor.numel() > 0) {
      const at::Tensor& other = records_[known->second];
      if (other.nbytes() == tensor.nbytes() && other.scalar_type() == tensor.scalar_type()) return known->second;
    }
    records_.push_back(tensor);
    return records_.size() - 1;
  }

  std::string text_;
  std::vector<at::Tensor> records_;
  std::unordered_map<const void*, std::size_t> places_;  // of memory in the records
};

}  // namespace fulgurite::detail
