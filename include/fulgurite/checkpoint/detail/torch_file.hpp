// SPDX-License-Identifier: MIT
// What a file of torch.save holds. Its structure is read first; then all its records are compared with their checksums, and
// tensors are made last.
#pragma once

#include <ATen/core/Dict.h>
#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "input_bytes.hpp"
#include "unpickler.hpp"
#include "zip_reader.hpp"

namespace fulgurite::detail {

class TorchFile {
 public:
  using Kind = PickledValue::Kind;

  /// Throws UnreadableFile.
  explicit TorchFile(InputBytes bytes) : archive_(std::move(bytes)), values_(structure(), archive_) {}
  TorchFile(const TorchFile&) = delete;
  TorchFile& operator=(const TorchFile&) = delete;

  const Unpickler& values() const { return values_; }
  const PickledValue& root() const { return values_[values_.root()]; }

  /// These of the file's tensors, on the host; those that share memory in the file do so here. Throws UnreadableFile if a
  /// record, of whichever tensor, is damaged.
  std::vector<at::Tensor> tensors(const std::vector<const SavedTensor*>& wanted) const {
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> memory(archive_.records().size());
    std::vector<void*> places(memory.size(), nullptr);
    for (const SavedTensor* tensor : wanted) {
      at::Tensor& bytes = memory[tensor->record];
      if (bytes.defined()) continue;
      bytes = at::empty({static_cast<std::int64_t>(archive_.records()[tensor->record].size)}, at::kByte);
      places[tensor->record] = bytes.mutable_data_ptr();
    }
    archive_.read(places);
    std::vector<at::Tensor> tensors;
    for (const SavedTensor* tensor : wanted) {
      tensors.push_back(at::empty({0}, tensor->type)
                            .set_(memory[tensor->record].storage(), tensor->offset, tensor->sizes, tensor->strides));
    }
    return tensors;
  }

  /// Everything. Throws UnreadableFile, also for what only Python can make.
  c10::IValue value() const {
    std::vector<const SavedTensor*> wanted;
    for (const SavedTensor& each : values_.tensors()) wanted.push_back(&each);
    const auto made = tensors(wanted);
    std::vector<std::optional<c10::IValue>> known;
    return value_of(values_.root(), made, known, 0);
  }

 private:
  /// The pickle, from an archive whose numbers are stored as this machine stores them.
  std::string structure() const {
    const auto& records = archive_.records();
    const std::size_t pickle = archive_.find("data.pkl"), order = archive_.find("byteorder");
    if (pickle == records.size()) throw UnreadableFile("it is a zip archive, but not one of torch.save: it has no data.pkl");
    constexpr std::string_view own = std::endian::native == std::endian::little ? "little" : "big";
    if (const std::string saved = order == records.size() ? "little" : archive_.text(order); saved != own) {
      throw UnreadableFile("its numbers are stored in the byte order \"" + saved.substr(0, 16) +
                           "\", and this machine's is \"" + std::string(own) + "\": save it on a machine of this kind");
    }
    return archive_.text(pickle);
  }

  c10::IValue value_of(std::uint32_t number, const std::vector<at::Tensor>& made,
                       std::vector<std::optional<c10::IValue>>& known, int depth) const {
    constexpr int deepest = 200;
    if (depth > deepest) {
      throw UnreadableFile("its values are nested more than " + std::to_string(deepest) + " deep, or contain themselves");
    }
    if (known.size() <= number) known.resize(number + std::size_t{1});
    if (known[number]) return *known[number];
    const auto item = [&](std::uint32_t each) { return value_of(each, made, known, depth + 1); };
    const PickledValue& from = values_[number];
    c10::IValue value;
    switch (from.kind) {
      case Kind::none: break;
      case Kind::boolean: value = from.integer != 0; break;
      case Kind::integer: value = from.integer; break;
      case Kind::real: value = from.real; break;
      case Kind::complex: value = c10::complex<double>(from.real, from.imaginary); break;
      case Kind::text:
      case Kind::bytes: value = from.text; break;
      case Kind::tensor: value = made[static_cast<std::size_t>(from.integer)]; break;
      case Kind::list:
      case Kind::set: {
        c10::impl::GenericList list(c10::AnyType::get());
        for (const std::uint32_t each : from.items) list.push_back(item(each));
        value = std::move(list);
        break;
      }
      case Kind::tuple: {
        std::vector<c10::IValue> items;
        for (const std::uint32_t each : from.items) items.push_back(item(each));
        value = c10::ivalue::Tuple::create(std::move(items));
        break;
      }
      case Kind::dict: {
        c10::impl::GenericDict dict(c10::AnyType::get(), c10::AnyType::get());
        for (std::size_t i = 0; i < from.items.size(); i += 2) {
          const Kind key = values_[from.items[i]].kind;
          if (key != Kind::text && key != Kind::integer && key != Kind::real && key != Kind::boolean) {
            throw UnreadableFile("a dictionary of it has a key that is neither a text nor a number");
          }
          dict.insert_or_assign(item(from.items[i]), item(from.items[i + 1]));
        }
        value = std::move(dict);
        break;
      }
      case Kind::global:
      case Kind::storage:
      case Kind::object: refuse_object(from);
    }
    known[number] = value;
    return value;
  }

 public:
  /// "torch.nn.modules.linear.Linear".
  static std::string class_of(const PickledValue& value) {
    std::string name = value.kind == Kind::storage ? "torch.storage.UntypedStorage" : value.text;
    if (const auto blank = name.find(' '); blank != std::string::npos) name[blank] = '.';
    return name;
  }
  [[noreturn]] static void refuse_object(const PickledValue& value) {
    throw UnreadableFile("it holds the Python object " + class_of(value) +
                         ", and only numbers, texts, tensors and containers of these can be read");
  }

 private:
  ZipReader archive_;
  Unpickler values_;
};

}  // namespace fulgurite::detail
