// SPDX-License-Identifier: MIT
// What a checkpoint is written to and read from, part by part. Both are called alike, `archive("name", value)`, so that one
// function `template <class Archive> void state(Archive& archive)` says what a part keeps, there and back.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <ATen/ops/empty.h>
#include <c10/util/Type.h>
#include <torch/serialize/archive.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

#include <fulgurite/logging/hyperparameters.hpp>
#include <fulgurite/schedulers/schedule_state.hpp>
#include <fulgurite/tensors/ivalue.hpp>
#include "detail/input_bytes.hpp"
#include "detail/torch_file.hpp"

namespace fulgurite {

class CheckpointWriter;
class CheckpointReader;

namespace detail {

// --- kinds of values ---

template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};
template <class T>
struct is_vector : std::false_type {};
template <class T, class A>
struct is_vector<std::vector<T, A>> : std::true_type {};

template <class T>
concept Enumeration = std::is_enum_v<T>;

/// Says what it keeps by `template <class Archive> void state(Archive&)`.
template <class T>
concept HasState = requires(T& value, CheckpointWriter& writer, CheckpointReader& reader) {
  value.state(writer);
  value.state(reader);
};
/// Has Python's pair, in Python's layout.
template <class T>
concept HasStateDict = requires(T& value, const c10::IValue& state) {
  { value.state_dict() } -> std::convertible_to<c10::IValue>;
  value.load_state_dict(state);
};
/// A schedule under way.
template <class T>
concept HasScheduleState = requires(T& value, const ScheduleState& state) {
  { value.state() } -> std::convertible_to<ScheduleState>;
  value.load_state(state);
};
/// Has LibTorch's pair: modules, optimizers.
template <class T>
concept HasArchives = requires(T& value, torch::serialize::OutputArchive& out, torch::serialize::InputArchive& in) {
  value.save(out);
  value.load(in);
};

template <class T>
inline constexpr bool always_false = false;

template <class T>
consteval void refuse_value() {
  static_assert(
      always_false<T>,
      "a checkpoint cannot keep a value of this type: it knows numbers, enums, strings, tensors, std::optional and "
      "std::vector of these, and types with state_dict and load_state_dict, with LibTorch's save and load, or with "
      "`template <class Archive> void state(Archive& archive)`. See docs/errors/checkpoint-value.md");
}

/// The class without its namespaces and template arguments; of who follows a metric with that: "EarlyStopping(val_loss)".
template <class T>
std::string class_name_of(const T& value) {
  std::string name = c10::demangle(typeid(T).name());
  if (const auto arguments = name.find('<'); arguments != std::string::npos) name.erase(arguments);
  if (const auto colon = name.rfind(':'); colon != std::string::npos) name.erase(0, colon + 1);
  if constexpr (requires { std::string(value.monitor()); }) name += "(" + std::string(value.monitor()) + ")";
  return name;
}

/// A whole LibTorch archive in a tensor of bytes.
template <HasArchives T>
at::Tensor archived(const T& value) {
  torch::serialize::OutputArchive archive;
  value.save(archive);
  std::ostringstream stream;
  archive.save_to(stream);
  const std::string bytes = std::move(stream).str();
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(bytes.size())}, at::kByte);
  std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return tensor;
}
/// Throws std::runtime_error that says what is wrong, and LibTorch's errors.
template <HasArchives T>
void load_archived(const at::Tensor& bytes, T& value) {
  if (bytes.scalar_type() != at::kByte || bytes.dim() != 1 || !bytes.is_contiguous()) {
    throw std::runtime_error("it is not an archive");
  }
  const std::string_view memory(static_cast<const char*>(bytes.const_data_ptr()), static_cast<std::size_t>(bytes.numel()));
  TorchFile(InputBytes(memory)).tensors({});  // LibTorch trusts what an archive says of itself
  torch::serialize::InputArchive archive;
  archive.load_from(memory.data(), memory.size());
  value.load(archive);
}

}  // namespace detail

/// Takes what a checkpoint is to hold: the `checkpoint` of `on_save_checkpoint`.
class CheckpointWriter {
 public:
  static constexpr bool loads = false;

  /// Numbers, enums, strings, tensors, std::optional and std::vector of these, and whatever has a state of its own.
  template <class T>
  void operator()(const std::string& name, const T& value) {
    entries_.insert(name, ivalue_of(value));
  }

  /// What must be the same in the trainer that reads it, and what to do if it is not.
  void same(const std::string& name, const std::string& value, const std::string& /*fix*/) { (*this)(name, value); }
  template <class T>
  void same_class(const std::string& name, const T& value, const std::string& fix) {
    same(name, detail::class_name_of(value), fix);
  }

  /// What a type's pair state_dict and load_state_dict gives and takes.
  template <detail::HasStateDict T>
  void state_dict(const std::string& name, const T& value) {
    entries_.insert(name, value.state_dict());
  }

  /// Writes a part: `f(archive)`.
  template <class F>
  void part(const std::string& name, F&& f) {
    CheckpointWriter inner;
    f(inner);
    entries_.insert(name, inner.ivalue());
  }

  c10::IValue ivalue() const { return entries_; }

 private:
  template <class T>
  static c10::IValue ivalue_of(const T& value) {
    if constexpr (std::same_as<T, c10::IValue>) {
      return value;
    } else if constexpr (std::same_as<T, at::Tensor>) {
      return value.defined() ? c10::IValue(value.detach()) : c10::IValue();
    } else if constexpr (std::same_as<T, bool>) {
      return value;
    } else if constexpr (std::is_integral_v<T> || detail::Enumeration<T>) {
      return static_cast<std::int64_t>(value);
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<double>(value);
    } else if constexpr (std::is_convertible_v<const T&, std::string>) {
      return std::string(value);
    } else if constexpr (detail::is_optional<T>::value) {
      return value ? ivalue_of(*value) : c10::IValue();
    } else if constexpr (std::same_as<T, Hyperparameters>) {
      auto entries = detail::new_dict(c10::StringType::get());
      for (const Hyperparameter& parameter : value) {
        std::visit([&](const auto& held) { entries.insert(parameter.name, ivalue_of(held)); }, parameter.value);
      }
      return entries;
    } else if constexpr (detail::is_vector<T>::value) {
      auto list = detail::new_list();
      for (const typename T::value_type& each : value) list.push_back(ivalue_of(each));
      return list;
    } else if constexpr (detail::HasState<T>) {
      CheckpointWriter inner;
      const_cast<T&>(value).state(inner);  // one function reads and writes; with a writer it changes nothing
      return inner.ivalue();
    } else if constexpr (detail::HasStateDict<T>) {
      return value.state_dict();
    } else if constexpr (detail::HasScheduleState<T>) {
      auto entries = detail::new_dict(c10::StringType::get());
      for (const ScheduleState::Entry& entry : value.state().entries()) entries.insert(entry.name, ivalue_of(entry.values));
      return entries;
    } else if constexpr (detail::HasArchives<T>) {
      return detail::archived(value);
    } else {
      detail::refuse_value<T>();
      return {};
    }
  }

  c10::impl::GenericDict entries_ = detail::new_dict(c10::StringType::get());
};

/// Gives back what a checkpoint holds: the `checkpoint` of `on_load_checkpoint`. Throws std::runtime_error for what is not
/// there or of another kind.
class CheckpointReader {
 public:
  static constexpr bool loads = true;

  /// `place`: what messages call it, "optimizer_0.".
  explicit CheckpointReader(c10::IValue entries, std::string place = "",
                            ScheduleValues schedules = ScheduleValues::must_match)
      : entries_(std::move(entries)), place_(std::move(place)), schedules_(schedules) {
    if (!entries_.isGenericDict()) refuse(place_, "is of another kind");
  }

  bool has(const std::string& name) const { return detail::find(entries_, name).has_value(); }
  /// Schedules get the values that were saved.
  bool takes_schedules_over() const { return schedules_ == ScheduleValues::taken_over; }
  /// An undefined tensor or an empty std::optional was saved there.
  bool empty(const std::string& name) const { return entry(name).isNone(); }

  template <class T>
  void operator()(const std::string& name, T& value) const {
    take(entry(name), value, place_ + name);
  }

  void same(const std::string& name, const std::string& value, const std::string& fix) const {
    std::string saved;
    (*this)(name, saved);
    if (saved != value) refuse(place_ + name, "is " + saved + " there and " + value + " here: " + fix);
  }

  template <detail::HasStateDict T>
  void state_dict(const std::string& name, T& value) const {
    value.load_state_dict(entry(name));
  }

  template <class T>
  void same_class(const std::string& name, const T& value, const std::string& fix) const {
    same(name, detail::class_name_of(value), fix);
  }

  /// Reads a part: `f(archive)`.
  template <class F>
  void part(const std::string& name, F&& f) const {
    CheckpointReader inner(entry(name), place_ + name + ".", schedules_);
    f(inner);
  }

  [[noreturn]] static void refuse(const std::string& what, const std::string& why) {
    throw std::runtime_error("its " + what + " " + why);
  }

  /// The names of its entries.
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& each : entries_.toGenericDict()) all.push_back(each.key().toStringRef());
    return all;
  }

 private:
  c10::IValue entry(const std::string& name) const {
    auto found = detail::find(entries_, name);
    if (!found) {
      refuse(place_ + name, "is missing: it was saved by another kind of trainer, model or callback. Load it into that kind; a "
                            "hook of yours may ask checkpoint.has(\"" + name + "\") first");
    }
    return *std::move(found);
  }

  template <class T>
  void take(const c10::IValue& from, T& value, const std::string& place) const {
    const auto require = [&](bool fits) {
      if (!fits) refuse(place, "is of another kind than what it is read into: read it into the type that was saved");
    };
    if constexpr (std::same_as<T, at::Tensor>) {
      require(from.isTensor() || from.isNone());
      if (from.isNone()) return value.reset();
      const at::Tensor& saved = from.toTensor();
      value = value.defined() ? saved.to(value.device()) : saved;
    } else if constexpr (std::same_as<T, bool>) {
      require(from.isBool());
      value = from.toBool();
    } else if constexpr (std::is_integral_v<T> || detail::Enumeration<T>) {
      require(from.isInt());
      value = static_cast<T>(from.toInt());
    } else if constexpr (std::is_floating_point_v<T>) {
      require(from.isDouble());
      value = static_cast<T>(from.toDouble());
    } else if constexpr (std::same_as<T, std::string>) {
      require(from.isString());
      value = from.toStringRef();
    } else if constexpr (detail::is_optional<T>::value) {
      if (from.isNone()) return value.reset();
      take(from, value.emplace(), place);
    } else if constexpr (std::same_as<T, Hyperparameters>) {
      require(from.isGenericDict());
      value.clear();
      for (const auto& each : from.toGenericDict()) value.push_back(hyperparameter(each.key().toStringRef(), each.value()));
    } else if constexpr (detail::is_vector<T>::value) {
      require(from.isList());
      value.clear();
      for (const c10::IValue& each : from.toListRef()) {
        typename T::value_type one{};
        take(each, one, place);
        value.push_back(std::move(one));
      }
    } else if constexpr (detail::HasState<T>) {
      CheckpointReader inner(from, place + ".", schedules_);
      value.state(inner);
    } else if constexpr (detail::HasStateDict<T>) {
      value.load_state_dict(from);
    } else if constexpr (detail::HasScheduleState<T>) {
      require(from.isGenericDict());
      ScheduleState state;
      for (const auto& each : from.toGenericDict()) {
        std::vector<double> values;
        take(each.value(), values, place);
        state.set(each.key().toStringRef(), std::move(values));
      }
      if constexpr (requires { value.take_over(state); }) {
        if (takes_schedules_over()) return value.take_over(state);
      }
      value.load_state(state);
    } else if constexpr (detail::HasArchives<T>) {
      require(from.isTensor());
      std::string problem;
      try {
        return detail::load_archived(from.toTensor(), value);
      } catch (const c10::Error& error) {
        problem = error.what_without_backtrace();
      } catch (const std::exception& error) {
        problem = error.what();
      }
      refuse(place, "cannot be loaded: " + problem);
    } else {
      detail::refuse_value<T>();
    }
  }

  static Hyperparameter hyperparameter(const std::string& name, const c10::IValue& value) {
    if (value.isBool()) return {name, value.toBool()};
    if (value.isInt()) return {name, value.toInt()};
    if (value.isDouble()) return {name, value.toDouble()};
    if (!value.isString()) refuse("hyper-parameter " + name, "is of another kind");
    return {name, value.toStringRef()};
  }

  c10::IValue entries_;
  std::string place_;
  ScheduleValues schedules_;
};

}  // namespace fulgurite
