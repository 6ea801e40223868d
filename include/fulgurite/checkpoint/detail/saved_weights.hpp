// SPDX-License-Identifier: MIT
// Weights by name: those of a model, those of a file, and how they fit each other.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fulgurite/tensors/shape.hpp>
#include "torch_file.hpp"

namespace fulgurite::detail {

struct NamedWeight {
  std::string name;
  at::Tensor tensor;
};

template <class Model>
std::vector<NamedWeight> weights_of(const Model& model) {
  std::vector<NamedWeight> weights;
  for (const auto& parameter : model.named_parameters()) weights.push_back({parameter.key(), parameter.value()});
  for (const auto& buffer : model.named_buffers()) weights.push_back({buffer.key(), buffer.value()});
  return weights;
}

/// A weight in a file. Of an entry that is not a tensor only the name is kept.
struct SavedWeight {
  std::string name;
  bool is_tensor = false;
  at::ScalarType type = at::kFloat;
  std::vector<std::int64_t> sizes = {};
  const SavedTensor* tensor = nullptr;
};

struct WeightComparison {
  static constexpr std::size_t absent = ~std::size_t{0};

  std::vector<std::size_t> places;      ///< for each weight of the model its place in the file, or `absent`
  std::vector<std::string> missing;     ///< in the file
  std::vector<std::string> unexpected;  ///< in the file, and not in the model
  std::vector<std::string> misfits;     ///< sentences
  std::vector<std::size_t> unfit;       ///< places of weights whose kind, shape or number format is not the model's
  bool shapes_differ = false;
  bool formats_differ = false;
  bool names_collide = false;  ///< two weights of the file have one name

  /// All that differs, in sentences; names that only one side has if these are asked for.
  std::string text(bool with_names = true) const {
    std::string all;
    const auto add = [&](const std::string& one) { all += (all.empty() ? "" : "; ") + one; };
    if (with_names) {
      for (const auto& name : missing) add("it has no weight " + name + ", which the model has");
      for (const auto& name : unexpected) add("it has a weight " + name + ", and the model has none of that name");
    }
    for (const auto& misfit : misfits) add(misfit);
    return all;
  }
};

/// `misfit(saved, weight)` says what is wrong with a number format; nothing if it will do.
template <class Misfit>
WeightComparison compare_weights(const std::vector<NamedWeight>& weights, const std::vector<SavedWeight>& saved,
                                 const Misfit& misfit) {
  std::unordered_map<std::string_view, std::size_t> places;
  WeightComparison comparison;
  for (std::size_t i = 0; i < saved.size(); ++i) {
    if (places.emplace(saved[i].name, i).second) continue;
    comparison.names_collide = true;
    comparison.misfits.push_back("it has two weights called " + saved[i].name);
  }
  for (const auto& [name, weight] : weights) {
    const auto found = places.find(name);
    if (found == places.end()) {
      comparison.places.push_back(WeightComparison::absent);
      comparison.missing.push_back(name);
      continue;
    }
    comparison.places.push_back(found->second);
    const SavedWeight& one = saved[found->second];
    places.erase(found);
    if (!one.is_tensor) {
      comparison.misfits.push_back(name + " is not a tensor there");
    } else if (!weight.sizes().equals(one.sizes)) {
      comparison.misfits.push_back(name + " is " + shape_of(one.sizes) + " there and " + shape_of(weight) + " in the model");
      comparison.shapes_differ = true;
    } else if (std::string wrong = misfit(one, weight); !wrong.empty()) {
      comparison.misfits.push_back(std::move(wrong));
      comparison.formats_differ = true;
    } else {
      continue;
    }
    comparison.unfit.push_back(comparison.places.back());
  }
  for (const SavedWeight& one : saved) {
    if (places.contains(one.name)) comparison.unexpected.push_back(one.name);
  }
  return comparison;
}

/// "layer.weight is Float there and Double in the model".
inline std::string format_misfit(const SavedWeight& saved, const at::Tensor& weight) {
  return saved.name + " is " + at::toString(saved.type) + " there and " + at::toString(weight.scalar_type()) +
         " in the model";
}

/// The modules in an archive of LibTorch, as torch::save(model, path) makes it: objects within objects.
inline void add_weights_of_module(const Unpickler& values, const PickledValue& module, const std::string& prefix, int depth,
                                  std::size_t& modules, std::vector<SavedWeight>& weights) {
  using Kind = PickledValue::Kind;
  constexpr int deepest = 100;
  constexpr std::size_t most = 100000;
  if (depth > deepest) {
    throw UnreadableFile("its modules are nested more than " + std::to_string(deepest) + " deep, or contain themselves");
  }
  if (++modules > most) throw UnreadableFile("it has more than " + std::to_string(most) + " modules");
  if (module.items.empty()) return;
  const PickledValue& attributes = values[module.items[0]];
  if (attributes.kind != Kind::dict) return;
  for (std::size_t i = 0; i < attributes.items.size(); i += 2) {
    const PickledValue &name = values[attributes.items[i]], &value = values[attributes.items[i + 1]];
    if (name.kind != Kind::text) continue;
    if (value.kind == Kind::tensor) {
      const SavedTensor& tensor = values.tensor(value);
      weights.push_back({prefix + name.text, true, tensor.type, tensor.sizes, &tensor});
    } else if (value.kind == Kind::object) {
      add_weights_of_module(values, value, prefix + name.text + ".", depth + 1, modules, weights);
    }
  }
}

/// The name of what an optimizer trains beside the model, in a checkpoint of ours.
inline bool is_of_optimizer(std::string_view name) {
  return name.starts_with("optimizer_") && name.find(".parameter_") != std::string_view::npos;
}

/// An archive as torch::save(model, path) and torch.jit.save write it.
inline bool is_module_archive(const PickledValue& root) {
  return root.kind == PickledValue::Kind::object && root.text.starts_with("__torch__");
}

/// A dictionary of tensors and nothing else.
inline bool is_state_dict(const Unpickler& values, const PickledValue& root) {
  if (root.kind != PickledValue::Kind::dict || root.items.empty()) return false;
  for (std::size_t i = 1; i < root.items.size(); i += 2) {
    if (values[root.items[i]].kind != PickledValue::Kind::tensor) return false;
  }
  return true;
}

/// The weights of a file: of `torch.save(model.state_dict(), path)`, of a dictionary that has such a one as its
/// "state_dict", or of `torch::save(model, path)`. Throws UnreadableFile if there are none.
inline std::vector<SavedWeight> weights_in(const TorchFile& file) {
  using Kind = PickledValue::Kind;
  const Unpickler& values = file.values();
  std::vector<SavedWeight> weights;
  const PickledValue* root = &file.root();
  if (is_module_archive(*root)) {
    std::size_t modules = 0;
    add_weights_of_module(values, *root, "", 0, modules, weights);
    return weights;
  }
  if (root->kind == Kind::object || root->kind == Kind::global) {
    throw UnreadableFile("it holds the Python object " + TorchFile::class_of(*root) +
                         ": in Python, save model.state_dict()");
  }
  if (root->kind != Kind::dict) {
    throw UnreadableFile("it holds no dictionary of weights: in Python, save model.state_dict()");
  }
  const bool is_checkpoint_of_ours = values.find(*root, "fulgurite_checkpoint") != nullptr;
  if (const PickledValue* inner = values.find(*root, "state_dict"); inner != nullptr && inner->kind == Kind::dict) {
    root = inner;
  }
  bool has_tensor = root->items.empty();
  std::string names;
  std::unordered_map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < root->items.size(); i += 2) {
    const PickledValue &name = values[root->items[i]], &value = values[root->items[i + 1]];
    if (name.kind != Kind::text) throw UnreadableFile("its weights are not called by names");
    if (is_checkpoint_of_ours && is_of_optimizer(name.text)) continue;
    SavedWeight weight{.name = name.text};
    if (value.kind == Kind::tensor) {
      const SavedTensor& tensor = values.tensor(value);
      weight = {name.text, true, tensor.type, tensor.sizes, &tensor};
      has_tensor = true;
    }
    names += (names.empty() ? "" : ", ") + name.text;
    if (const auto [known, is_new] = places.emplace(name.text, weights.size()); !is_new) {
      weights[known->second] = std::move(weight);  // the last one counts
    } else {
      weights.push_back(std::move(weight));
    }
  }
  if (!has_tensor) {
    throw UnreadableFile("it has no tensors by name, nor a state_dict with them, only " + names +
                         ": in Python, save the state dict alone");
  }
  return weights;
}

}  // namespace fulgurite::detail
