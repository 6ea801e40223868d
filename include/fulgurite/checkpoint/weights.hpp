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
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/detail/posix_file.hpp>
#include <fulgurite/tensors/ivalue.hpp>
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
  /// It leaves names as they are, since it was given nothing.
  bool empty() const { return !rename_; }

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

using Prefixes = std::vector<std::pair<std::string, std::string>>;

/// As load_weights compares: number formats that can be converted will do.
inline WeightComparison compare_castable(const std::vector<NamedWeight>& weights, const std::vector<SavedWeight>& saved) {
  return compare_weights(weights, saved, [](const SavedWeight& one, const at::Tensor& weight) {
    return c10::canCast(one.type, weight.scalar_type()) ? "" : format_misfit(one, weight);
  });
}

/// The weights under the names that `names` gives them.
inline std::vector<SavedWeight> renamed(std::vector<SavedWeight> saved, const WeightNames& names) {
  for (SavedWeight& weight : saved) weight.name = names(weight.name);
  return saved;
}

/// The weights that fit.
inline std::size_t count_fitting(const WeightComparison& comparison) {
  return comparison.places.size() - comparison.missing.size() - comparison.unfit.size();
}

/// How load_weights takes what fits.
struct FittingLoad {
  Prefixes rename;
  bool strict = true;
  std::size_t found = 0;  ///< of the model's weights

  /// `{.strict = false, .rename = {{"model.", ""}}}`; nothing if the defaults do.
  std::string options() const {
    std::string text = strict ? "" : ".strict = false";
    for (const auto& [from, to] : rename) {
      text += &from == &rename.front().first ? (strict ? ".rename = {" : ", .rename = {") : ", ";
      text += "{\"" + from + "\", \"" + to + "\"}";
    }
    if (!rename.empty()) text += "}";
    return text.empty() ? text : "{" + text + "}";
  }
};

/// The pair of prefixes with which most weights of a file fit, if more do than without; else nothing. Names get a prefix or
/// lose one, or all of the file have one that is another in the model; a module is not taken for another one.
inline Prefixes best_prefixes(const std::vector<NamedWeight>& weights, const std::vector<SavedWeight>& saved,
                              const WeightComparison& as_it_is) {
  constexpr std::size_t examples = 8;  // of weights that are missing: each pair is tried with all
  const auto is_welcome = [&](const std::string& from, const std::string& to) {
    return to.ends_with(from) || from.ends_with(to) ||
           std::all_of(saved.begin(), saved.end(), [&](const SavedWeight& one) { return one.name.starts_with(from); });
  };
  std::set<std::pair<std::string, std::string>> pairs;  // from names that end in the same way
  const std::size_t stride = as_it_is.missing.size() / examples + 1;
  for (std::size_t i = 0, missing = 0; i < weights.size(); ++i) {
    if (as_it_is.places[i] != WeightComparison::absent || missing++ % stride != 0) continue;
    const auto& [name, weight] = weights[i];
    for (const SavedWeight& one : saved) {
      if (!one.is_tensor || !weight.sizes().equals(one.sizes)) continue;
      for (std::size_t end = 1; end <= std::min(name.size(), one.name.size()); ++end) {
        const std::size_t from = one.name.size() - end, to = name.size() - end;
        if (one.name[from] != name[to]) break;
        if ((from == 0 || one.name[from - 1] == '.') && (to == 0 || name[to - 1] == '.')) {
          pairs.emplace(one.name.substr(0, from), name.substr(0, to));
        }
      }
    }
  }
  std::erase_if(pairs, [&](const auto& pair) { return !is_welcome(pair.first, pair.second); });
  Prefixes best;
  std::size_t most = count_fitting(as_it_is);
  for (const auto& pair : pairs) {
    const WeightComparison comparison = compare_castable(weights, renamed(saved, Prefixes{pair}));
    if (comparison.names_collide || count_fitting(comparison) <= most) continue;
    most = count_fitting(comparison);
    best = {pair};
  }
  return best;
}

/// How as many weights of a file as possible can be loaded into the model; nothing if none can, or if too many modules would
/// have to be left out one by one.
inline std::optional<FittingLoad> fitting_load(const std::vector<NamedWeight>& weights, const std::vector<SavedWeight>& saved) {
  constexpr std::size_t most_left_out = 3;
  const WeightComparison as_it_is = compare_castable(weights, saved);
  FittingLoad load{.rename = best_prefixes(weights, saved, as_it_is)};
  Prefixes left_out;  // modules whose weights do not fit get names that the model lacks
  for (const std::size_t place : compare_castable(weights, renamed(saved, load.rename)).unfit) {
    const std::string& name = saved[place].name;
    const std::string module = name.substr(0, name.rfind('.') == std::string::npos ? name.size() : name.rfind('.') + 1);
    const std::pair<std::string, std::string> pair{module, "left_out." + module};
    if (std::find(left_out.begin(), left_out.end(), pair) == left_out.end()) left_out.push_back(pair);
  }
  if (left_out.size() > most_left_out) return std::nullopt;
  load.rename.insert(load.rename.begin(), left_out.begin(), left_out.end());  // the first pair that fits counts
  const WeightComparison comparison = compare_castable(weights, renamed(saved, load.rename));
  load.found = count_fitting(comparison);
  load.strict = comparison.missing.empty() && comparison.unexpected.empty();
  if (load.found == 0 || !comparison.misfits.empty()) return std::nullopt;
  return load;
}

/// "Make the model with the shapes that were saved", where these or number formats are not the model's.
inline std::string advice_on_misfits(const WeightComparison& comparison) {
  if (!comparison.shapes_differ && !comparison.formats_differ) return "";
  return std::string("Make the model with the ") +
         (!comparison.formats_differ ? "shapes"
          : comparison.shapes_differ ? "shapes and number formats"
                                     : "number formats") +
         " that were saved";
}

inline std::string the_model_finds(std::size_t count, std::size_t of) {
  return " the model finds " +
         (count == of ? "its weights" : std::to_string(count) + " of its " + std::to_string(of) + " weights");
}

/// What to do about weights that do not fit. `in_file` has the names in the file, `comparison` is that after `rename`.
inline std::string advice_on_loading(const std::vector<NamedWeight>& weights, const std::vector<SavedWeight>& in_file,
                                     const WeightNames& rename, const WeightComparison& comparison) {
  if (comparison.names_collide) return ". Let .rename give each weight a name of its own";
  const std::string remake = advice_on_misfits(comparison);
  const auto finds = [&](std::size_t count) { return the_model_finds(count, weights.size()); };
  const auto load = fitting_load(weights, in_file);
  const std::size_t fitting = count_fitting(comparison);
  if (!rename.empty() && fitting > (load ? load->found : 0)) {  // it does what no pair of prefixes does
    if (comparison.misfits.empty()) return ". With .strict = false" + finds(fitting);
    return ". " + (remake.empty() ? "L" : remake + ", or l") +
           "eave out what differs: with .strict = false, and a .rename that gives it names that the model lacks";
  }
  if (!load && !remake.empty()) return ". " + remake;
  if (!load) {
    return ". Register the model's modules under the names in the file, or give .rename a function from those to the model's";
  }
  const std::string options = load->options();
  const std::string with = options.empty() ? "out .rename" : " " + options;
  return ". " + (remake.empty() ? "With" : remake + ", or leave out what differs: with") + with + finds(load->found);
}

/// Throws UnreadableFile, or std::runtime_error for weights that do not fit, before any weight is changed.
inline IncompatibleKeys load_weights_into(const std::vector<NamedWeight>& weights, const std::string& path,
                                          const LoadWeightsOptions& options) {
  const TorchFile file(InputBytes::of_file(path));
  const std::vector<SavedWeight> in_file = weights_in(file);
  const std::vector<SavedWeight> saved = renamed(in_file, options.rename);
  const WeightComparison comparison = compare_castable(weights, saved);
  const bool names_differ = !comparison.missing.empty() || !comparison.unexpected.empty();
  if (!comparison.misfits.empty() || (options.strict && names_differ)) {
    throw std::runtime_error(comparison.text(options.strict) + advice_on_loading(weights, in_file, options.rename, comparison));
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
                             advice_on_loading(weights, in_file, options.rename, comparison));
  }
  const auto tensors = file.tensors(wanted);
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < into.size(); ++i) weights[into[i]].tensor.copy_(tensors[i]);
  return {comparison.missing, comparison.unexpected};
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
