// SPDX-License-Identifier: MIT
// The weights of a model in a file, as `torch.save(model.state_dict(), path)` writes it.
#pragma once

#include <ATen/core/Dict.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <c10/core/GradMode.h>
#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/detail/posix_file.hpp>
#include <fulgurite/optim/state_dict.hpp>
#include "detail/pickle.hpp"
#include "detail/saved_weights.hpp"
#include "detail/whole_file.hpp"

namespace fulgurite {

/// From the names of weights in a file to those in a model.
class WeightNames {
 public:
  /// As they are.
  WeightNames() = default;
  /// A name that begins with the first text of a pair begins with the second instead. The first pair that fits counts.
  WeightNames(std::initializer_list<std::pair<std::string, std::string>> prefixes)
      : WeightNames(std::vector<std::pair<std::string, std::string>>(prefixes)) {}
  WeightNames(std::vector<std::pair<std::string, std::string>> prefixes)
      : rename_([prefixes = std::move(prefixes)](const std::string& name) {
          for (const auto& [from, to] : prefixes) {
            if (name.starts_with(from)) return to + name.substr(from.size());
          }
          return name;
        }) {}
  /// A function of a name, which returns the other.
  template <class Rename>
    requires(!std::same_as<std::remove_cvref_t<Rename>, WeightNames> &&
             std::is_invocable_r_v<std::string, Rename&, const std::string&>)
  WeightNames(Rename&& rename) : rename_(std::forward<Rename>(rename)) {}

  std::string operator()(const std::string& name) const { return rename_ ? rename_(name) : name; }

 private:
  std::function<std::string(const std::string&)> rename_;
};

/// How `load_weights` takes a file.
struct LoadWeightsOptions {
  bool strict = true;      ///< whether model and file must have the same names; otherwise those of both are loaded
  WeightNames rename = {};  ///< given a name in the file, the name in the model: {{"model.", ""}}, or a function
};

/// What a load that is not strict left out, as PyTorch's load_state_dict calls it.
struct IncompatibleKeys {
  std::vector<std::string> missing_keys;     ///< of the model, which the file lacks: these weights stay as they were
  std::vector<std::string> unexpected_keys;  ///< of the file, which the model lacks

  bool empty() const { return missing_keys.empty() && unexpected_keys.empty(); }
};

namespace detail {

/// The advice to rename, if each weight that the model misses has its name in the file behind, or without, one prefix.
inline std::string prefix_hint(const std::vector<std::string>& missing, const std::vector<std::string>& unexpected) {
  const auto dotted_end_of = [](const std::string& whole, const std::string& end) {
    return whole.size() > end.size() && whole.ends_with(end) && whole[whole.size() - end.size() - 1] == '.';
  };
  const auto has_all = [&](const auto& in_file) {
    for (const auto& name : missing) {
      if (std::find(unexpected.begin(), unexpected.end(), in_file(name)) == unexpected.end()) return false;
    }
    return true;
  };
  if (missing.empty()) return "";
  for (const std::string& name : unexpected) {
    std::string from, to;
    if (dotted_end_of(name, missing.front())) {
      from = name.substr(0, name.size() - missing.front().size());
      if (!has_all([&](const std::string& wanted) { return from + wanted; })) continue;
    } else if (dotted_end_of(missing.front(), name)) {
      to = missing.front().substr(0, missing.front().size() - name.size());
      const auto without_prefix = [&](const std::string& wanted) {
        return wanted.starts_with(to) ? wanted.substr(to.size()) : std::string();
      };
      if (!has_all(without_prefix)) continue;
    } else {
      continue;
    }
    return ". With {.rename = {{\"" + from + "\", \"" + to + "\"}}} the model finds its weights";
  }
  return "";
}

/// Throws UnreadableFile, or std::runtime_error for weights that do not fit, before any weight is changed.
inline IncompatibleKeys load_weights_into(const std::vector<NamedWeight>& weights, const std::string& path,
                                          const LoadWeightsOptions& options) {
  const TorchFile file(InputBytes::of_file(path));
  std::vector<SavedWeight> saved = weights_in(file);
  for (SavedWeight& weight : saved) weight.name = options.rename(weight.name);
  WeightComparison comparison = compare_weights(weights, saved, [](const SavedWeight& one, const at::Tensor& weight) {
    return c10::canCast(one.type, weight.scalar_type()) ? "" : format_misfit(one, weight);
  });
  IncompatibleKeys left_out;
  if (!options.strict) {
    left_out = {std::move(comparison.missing), std::move(comparison.unexpected)};
    comparison.missing = {};
    comparison.unexpected = {};
  }
  if (std::string differs = comparison.text(); !differs.empty()) {
    const std::string hint = prefix_hint(comparison.missing, comparison.unexpected);
    if (hint.empty() && comparison.misfits.empty() && comparison.missing.size() < weights.size()) {
      differs += ". With {.strict = false} the other weights are loaded";
    }
    throw std::runtime_error(differs + hint);
  }
  std::vector<const SavedTensor*> wanted;
  std::vector<std::size_t> into;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (comparison.places[i] == WeightComparison::absent) continue;
    wanted.push_back(saved[comparison.places[i]].tensor);
    into.push_back(i);
  }
  if (wanted.empty() && !weights.empty()) {
    throw std::runtime_error("none of its weights has the name of one of the model's" +
                             prefix_hint(left_out.missing_keys, left_out.unexpected_keys));
  }
  const auto tensors = file.tensors(wanted);
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < into.size(); ++i) weights[into[i]].tensor.copy_(tensors[i]);
  return left_out;
}

}  // namespace detail

/// Writes parameters and buffers as `torch.save(model.state_dict(), path)` does: `torch.load(path)` reads them in Python.
/// Folders are made. The file appears whole or not at all, even if the process is killed or the power is cut meanwhile; it is
/// on the disk when this returns. Throws std::runtime_error that names the file.
template <class Model>
void save_weights(const Model& model, const std::filesystem::path& path) {
  detail::write_whole(path, "weights", [&](detail::NewFile& file) {
    auto state_dict = detail::new_dict(c10::StringType::get());
    for (const auto& [name, weight] : detail::weights_of(model)) state_dict.insert(name, weight.detach());
    detail::write_pickle(state_dict, file);
  });
}

/// Reads weights into a model of the same shape: of `save_weights`, `save_checkpoint`, Python's
/// `torch.save(model.state_dict(), path)`, Lightning's checkpoints, or `torch::save(model, path)`. Each weight stays where
/// it is in memory, and keeps its device and number format.
///
/// Returns what a load that is not strict left out. Throws std::runtime_error that names the file and all that does not fit;
/// the model's weights are then as they were.
template <class Model>
IncompatibleKeys load_weights(Model& model, const std::filesystem::path& path, const LoadWeightsOptions& options = {}) {
  std::string problem;
  try {
    return detail::load_weights_into(detail::weights_of(model), path.string(), options);
  } catch (const c10::Error& error) {
    problem = error.what_without_backtrace();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  throw std::runtime_error("fulgurite: cannot load the weights file " + path.string() + ": " + problem);
}

}  // namespace fulgurite
