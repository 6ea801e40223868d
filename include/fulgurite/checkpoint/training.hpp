// SPDX-License-Identifier: MIT
// A whole training in a file: `fg::save_checkpoint(trainer, "run.ckpt")`, and later, in another process,
// `fg::load_checkpoint(trainer, "run.ckpt")`. From there on the run is, bit for bit, the one that never stopped.
//
// The file is a dictionary as `torch.save` writes it (`torch.load("run.ckpt")["state_dict"]`):
//   fulgurite_checkpoint     version of this format
//   epoch, global_step, hyper_parameters
//   state_dict               parameters and buffers by name
//   gradients                of an open window, in the same order (a sparse one by its parts); else None
//   random                   states of the random generators: the host's, the device's
//   training                 counters, optimizers, schedules, metrics, …: Engine::state in loop/engine.hpp
//   callbacks, model         what their on_save_checkpoint gave
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <ATen/ops/sparse_coo_tensor.h>
#include <c10/core/GradMode.h>
#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <boost/hana/for_each.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/detail/engine_access.hpp>
#include <fulgurite/detail/nothing.hpp>
#include <fulgurite/hooks/checkpoint.hpp>
#include <fulgurite/logging/notice.hpp>
#include <fulgurite/tensors/ivalue.hpp>
#include "archive.hpp"
#include "detail/former_names.hpp"
#include "detail/input_bytes.hpp"
#include "detail/pickle.hpp"
#include "detail/saved_weights.hpp"
#include "detail/torch_file.hpp"
#include "detail/whole_file.hpp"
#include "weights.hpp"

namespace fulgurite {

namespace detail {

/// Raised whenever the meaning of an entry changes.
inline constexpr std::int64_t checkpoint_format = 1;

// --- weights -------------------------------------------------------------------------------------------------------

/// Parameters and buffers of a model, then parameters of its optimizers that it does not name.
template <class Engine>
std::vector<NamedWeight> all_weights(Engine& engine) {
  constexpr bool has_names = requires {
    engine.model().named_parameters();
    engine.model().named_buffers();
  };
  static_assert(has_names,
                "fg::save_checkpoint and fg::load_checkpoint need a model that is a torch::nn::Module, whose parameters and "
                "buffers have names. See docs/errors/checkpoint-model.md");
  std::vector<NamedWeight> all;
  if constexpr (has_names) {
    all = weights_of(engine.model());
    engine.for_each_optimizer([&](auto index) {
      std::size_t number = 0;
      engine.running(index).optimizer().for_each_parameter([&](const at::Tensor& parameter) {
        bool named = false;
        for (const NamedWeight& weight : all) named |= weight.tensor.is_same(parameter);
        const std::string place = "optimizer_" + std::to_string(index) + ".parameter_" + std::to_string(number++);
        if (!named) all.push_back({place, parameter});
      });
    });
    std::erase_if(all, [](const NamedWeight& weight) { return !weight.tensor.defined(); });
  }
  return all;
}

/// What to do with a checkpoint of other parameters: go on with them, or take the weights alone.
inline std::string advice_on_parameters(std::vector<NamedWeight> weights, std::vector<SavedWeight> saved) {
  std::erase_if(weights, [](const NamedWeight& weight) { return is_of_optimizer(weight.name); });
  std::erase_if(saved, [](const SavedWeight& weight) { return is_of_optimizer(weight.name); });
  const std::string advice =
      ". Make the model and its optimizers with the parameters that they had when it was saved: the same names and shapes";
  const auto load = fitting_load(weights, saved);
  if (!load) return advice;
  const std::string options = load->options();
  return advice + ". For the weights alone: with fg::load_weights(model, path" + (options.empty() ? "" : ", " + options) + ")" +
         the_model_finds(load->found, weights.size());
}

/// The tensors of a checkpoint in the order of the model's weights. Throws std::runtime_error unless the file has these
/// weights in their number formats, and no others.
inline std::vector<at::Tensor> loaded_weights(const std::vector<NamedWeight>& weights, const c10::IValue& state_dict) {
  if (!state_dict.isGenericDict()) throw std::runtime_error("it has no weights by name");
  std::vector<SavedWeight> saved;
  std::vector<at::Tensor> tensors;
  for (const auto& each : state_dict.toGenericDict()) {
    SavedWeight& weight = saved.emplace_back();
    weight.name = each.key().isString() ? each.key().toStringRef() : std::string();
    weight.is_tensor = each.value().isTensor();
    const at::Tensor& tensor = tensors.emplace_back(weight.is_tensor ? each.value().toTensor() : at::Tensor());
    if (!weight.is_tensor) continue;
    weight.type = tensor.scalar_type();
    weight.sizes = tensor.sizes().vec();
  }
  const WeightComparison comparison = compare_weights(weights, saved, [](const SavedWeight& one, const at::Tensor& weight) {
    if (one.type == weight.scalar_type()) return std::string();
    return format_misfit(one, weight) +
           ": give the model the number format and the trainer the precision with which it was saved";
  });
  if (const std::string differs = comparison.text(); !differs.empty()) {
    const bool others = !comparison.missing.empty() || !comparison.unexpected.empty() || comparison.shapes_differ;
    throw std::runtime_error(differs + (others ? advice_on_parameters(weights, saved) : ""));
  }
  std::vector<at::Tensor> loaded;
  for (const std::size_t place : comparison.places) loaded.push_back(tensors[place]);
  return loaded;
}

/// A gradient for the file; a sparse one by its parts, as they are: added up, they would round otherwise than the optimizer
/// does. Throws c10::Error for one of another layout.
inline c10::IValue saved_gradient(const at::Tensor& gradient) {
  if (!gradient.defined()) return {};
  if (gradient.layout() == at::kStrided) return gradient.detach();
  if (gradient.layout() != at::kSparse) {
    TORCH_CHECK(false, "a gradient of layout ", gradient.layout(),
                " cannot be saved: make it dense, to_dense(), or save after zero_grad()");
  }
  auto parts = new_dict(c10::StringType::get());
  parts.insert("indices", gradient._indices().detach());
  parts.insert("values", gradient._values().detach());
  parts.insert("coalesced", gradient.is_coalesced());
  return parts;
}

template <class Engine>
c10::IValue saved_gradients(Engine& engine, const std::vector<NamedWeight>& weights) {
  if (!engine.keeps_gradients()) return {};
  auto gradients = new_list();
  for (const NamedWeight& weight : weights) {
    gradients.push_back(saved_gradient(weight.tensor.unsafeGetTensorImpl()->grad()));
  }
  return gradients;
}

/// The gradient that `saved_gradient` wrote, for a weight; undefined if it does not fit.
inline at::Tensor loaded_gradient(const c10::IValue& saved, const at::Tensor& weight) {
  const auto fits = [&](const at::Tensor& gradient) {
    return gradient.scalar_type() == weight.scalar_type() && gradient.sizes() == weight.sizes();
  };
  if (saved.isTensor()) return fits(saved.toTensor()) ? saved.toTensor().to(weight.device()) : at::Tensor();
  const auto indices = find(saved, "indices"), values = find(saved, "values"), coalesced = find(saved, "coalesced");
  if (!indices || !values || !coalesced) return {};
  if (!indices->isTensor() || !values->isTensor() || !coalesced->isBool()) return {};
  try {
    const at::Tensor gradient =
        at::sparse_coo_tensor(indices->toTensor().to(weight.device()), values->toTensor().to(weight.device()),
                              weight.sizes(), std::nullopt, std::nullopt, std::nullopt, std::nullopt, coalesced->toBool());
    return fits(gradient) ? gradient : at::Tensor();
  } catch (const c10::Error&) {  // indices beyond the weight, or of another number than values
    return {};
  }
}

/// The gradients of a file, in the order of the model's weights; undefined ones where it has none. Throws std::runtime_error
/// for one that is not of its weight's kind.
inline std::vector<at::Tensor> gradients_in(const c10::IValue& saved, const std::vector<NamedWeight>& weights) {
  std::vector<at::Tensor> gradients(weights.size());
  if (saved.isNone()) return gradients;
  if (!saved.isList() && !saved.isTuple()) throw std::runtime_error("its gradients are not a list");
  const auto values = elements(saved);
  if (values.size() != weights.size()) throw std::runtime_error("it has gradients for another number of weights");
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].isNone()) continue;
    const auto& [name, weight] = weights[i];
    gradients[i] = loaded_gradient(values[i], weight);
    if (!gradients[i].defined()) {
      throw std::runtime_error("its gradient of " + name + " has not the shape and number format of " + name);
    }
  }
  return gradients;
}

// --- random streams ------------------------------------------------------------------------------------------------

inline c10::IValue random_states(std::vector<at::Generator> generators) {
  auto states = new_list();
  for (at::Generator& generator : generators) {
    const std::lock_guard lock(generator.mutex());
    states.push_back(generator.get_state());
  }
  return states;
}

/// On another device only the host's stream goes on.
inline void set_random_states(std::vector<at::Generator> generators, const c10::IValue& saved) {
  if (!saved.isList()) throw std::runtime_error("its random states are of another kind");
  const auto states = elements(saved);
  for (std::size_t i = 0; i < generators.size() && i < states.size(); ++i) {
    if (!states[i].isTensor()) throw std::runtime_error("its random states are of another kind");
    const std::lock_guard lock(generators[i].mutex());
    generators[i].set_state(states[i].toTensor());
  }
}

// --- callbacks and model -------------------------------------------------------------------------------------------

/// The archives as a training's parts and hooks see them.
template <class Archive, class Model>
class TrainingArchive : public Archive {
 public:
  TrainingArchive(Archive archive, Model& model, bool& stop) : Archive(std::move(archive)), model_(&model), stop_(&stop) {}

  /// Writes or reads a part: `f(archive)`, with an archive that offers the same as this one.
  template <class F>
  void part(const std::string& name, F&& f) {
    Archive::part(name, [&](const Archive& entries) {  // copies share their entries
      TrainingArchive inner(entries, *model_, *stop_);
      f(inner);
    });
  }

  /// The model that is trained.
  Model& model() const { return *model_; }

  /// For a callback that had asked to stop: asks again, as step.stop() does. The checkpoint itself does not keep such a
  /// request.
  void stop() const
    requires Archive::loads
  {
    *stop_ = true;
  }

 private:
  Model* model_;
  bool* stop_;
};

template <class Host>
consteval bool has_checkpoint_hooks() {
  constexpr bool saves = hooks::present<hooks::on_save_checkpoint_hook, Host>;
  constexpr bool loads = hooks::present<hooks::on_load_checkpoint_hook, Host>;
  static_assert(
      saves == loads,
      "a model or callback has one of on_save_checkpoint and on_load_checkpoint: write both, since what is saved must "
      "come back. See docs/errors/checkpoint-hooks.md");
  return saves && loads;
}

/// Calls f(name, host) for callbacks that have a state, each under a name of its own.
template <class Engine, class F>
void for_each_keeper(Engine& engine, F&& f) {
  std::vector<std::string> names;
  boost::hana::for_each(engine.callbacks(), [&](auto& callback) {
    if constexpr (has_checkpoint_hooks<std::remove_cvref_t<decltype(callback)>>()) {
      const std::string name = class_name_of(callback);
      names.push_back(name);
      const auto same = std::count(names.begin(), names.end(), name);
      f(same == 1 ? name : name + "#" + std::to_string(same), callback);
    }
  });
}

/// What has no place in a model's tensors.
template <class Engine>
c10::IValue training_state(Engine& engine) {
  using Model = std::remove_cvref_t<decltype(engine.model())>;
  CheckpointWriter training;
  engine.state(training);
  CheckpointWriter callbacks;
  for_each_keeper(engine, [&](const std::string& name, auto& callback) {
    TrainingArchive<CheckpointWriter, Model> archive({}, engine.model(), engine.stop_requested());
    hooks::call<hooks::on_save_checkpoint_hook>(callback, archive);
    callbacks(name, archive.ivalue());
  });
  CheckpointWriter whole;
  whole("training", training.ivalue());
  whole("callbacks", callbacks.ivalue());
  if constexpr (has_checkpoint_hooks<Model>()) {
    TrainingArchive<CheckpointWriter, Model> archive({}, engine.model(), engine.stop_requested());
    hooks::call<hooks::on_save_checkpoint_hook>(engine.model(), archive);
    whole("model", archive.ivalue());
  }
  return whole.ivalue();
}

/// Returns the names of callbacks that have a state there, and are not here.
template <class Engine>
std::vector<std::string> load_training_state(Engine& engine, const c10::IValue& saved, ScheduleValues schedules) {
  using Model = std::remove_cvref_t<decltype(engine.model())>;
  const CheckpointReader whole(saved, "", schedules);
  whole.part("training", [&](auto& training) { engine.state(training); });
  std::vector<std::string> left;
  whole.part("callbacks", [&](auto& callbacks) {
    left = callbacks.names();
    for_each_keeper(engine, [&](const std::string& name, auto& callback) {
      if (std::erase(left, name) == 0) return;  // it was not there: it keeps what it has
      callbacks.part(name, [&](auto& part) {
        TrainingArchive<CheckpointReader, Model> archive(part, engine.model(), engine.stop_requested());
        hooks::call<hooks::on_load_checkpoint_hook>(callback, archive);
      });
    });
  });
  if constexpr (has_checkpoint_hooks<Model>()) {
    if (!whole.has("model")) {
      whole.refuse("model", "had no on_save_checkpoint: load it into a model without on_load_checkpoint");
    }
    whole.part("model", [&](auto& part) {
      TrainingArchive<CheckpointReader, Model> archive(part, engine.model(), engine.stop_requested());
      hooks::call<hooks::on_load_checkpoint_hook>(engine.model(), archive);
    });
  }
  return left;
}

// --- the file ------------------------------------------------------------------------------------------------------

/// The same with `f(tensor)` in each tensor's place.
template <class F>
c10::IValue with_tensors(const c10::IValue& value, const F& f) {
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    return tensor.defined() ? c10::IValue(f(tensor)) : c10::IValue();
  }
  if (value.isGenericDict()) {
    const auto entries = value.toGenericDict();
    auto copy = new_dict(entries.keyType());
    for (const auto& each : entries) copy.insert(each.key(), with_tensors(each.value(), f));
    return copy;
  }
  if (value.isList()) {
    auto copy = new_list();
    for (const c10::IValue& each : value.toListRef()) copy.push_back(with_tensors(each, f));
    return copy;
  }
  return value;
}

/// The same on the host, with memory of its own.
inline c10::IValue copied(const c10::IValue& value) {
  return with_tensors(value,
                      [](const at::Tensor& tensor) { return tensor.to(at::kCPU, tensor.scalar_type(), false, true); });
}

template <class Engine>
void write_checkpoint(Engine& engine, const std::filesystem::path& path) {
  const c10::NoGradGuard no_grad;
  write_whole(path, "a checkpoint", [&](NewFile& to) {
    const auto weights = all_weights(engine);
    auto state_dict = new_dict(c10::StringType::get());
    for (const auto& [name, weight] : weights) state_dict.insert(name, weight.detach());
    auto file = training_state(engine).toGenericDict();
    file.insert("fulgurite_checkpoint", checkpoint_format);
    file.insert("epoch", engine.progress().epoch);
    file.insert("global_step", engine.progress().global_step);
    file.insert("state_dict", state_dict);
    file.insert("gradients", saved_gradients(engine, weights));
    file.insert("random", random_states(engine.backend().generators()));
    CheckpointWriter extra;
    extra("hyper_parameters", engine.hyperparameters());
    file.insert("hyper_parameters", *find(extra.ivalue(), "hyper_parameters"));
    write_pickle(file, to);
  });
}

/// The dictionary in a checkpoint. Throws std::runtime_error that says what is in the file's place.
inline c10::IValue read_checkpoint(InputBytes bytes) {
  using Kind = PickledValue::Kind;
  const TorchFile file(std::move(bytes));
  const PickledValue& root = file.root();
  const PickledValue* const format = file.values().find(root, "fulgurite_checkpoint");
  if (format == nullptr && (is_module_archive(root) || is_state_dict(file.values(), root))) {
    throw std::runtime_error(
        "it holds weights only, without the training around them: read it with fg::load_weights, or save "
        "with fg::save_checkpoint");
  }
  if (format == nullptr || format->kind != Kind::integer) {
    throw std::runtime_error("it was not written by fg::save_checkpoint, and holds no training that could go on");
  }
  if (format->integer != checkpoint_format) {
    throw std::runtime_error("it is of version " + std::to_string(format->integer) +
                             " of the format, and this version of the library reads version " +
                             std::to_string(checkpoint_format) + ": load it with the version that saved it");
  }
  return file.value();
}
inline c10::IValue read_checkpoint(const std::filesystem::path& path) {
  try {
    return read_checkpoint(InputBytes::of_file(path.string()));
  } catch (const UnreadableFile& error) {
    if (!error.is_cut_short) throw;
    throw std::runtime_error("it is cut short, or not a checkpoint: " + std::string(error.what()));
  }
}

/// Returns the names of callbacks that have a state in the file, and are not here.
template <class Engine>
std::vector<std::string> load_checkpoint_of(Engine& engine, const c10::IValue& file, ScheduleValues schedules) {
  const c10::NoGradGuard no_grad;
  const CheckpointReader reader(file);
  const auto entry = [&](const char* name) {
    if (!reader.has(name)) reader.refuse(name, "is missing");
    return *find(file, name);
  };
  const auto weights = all_weights(engine);
  const c10::IValue state_dict = entry("state_dict");
  const auto loaded = loaded_weights(weights, state_dict);
  const auto gradients = gradients_in(entry("gradients"), weights);
  const c10::IValue random = entry("random");
  auto hyperparameters = engine.hyperparameters();
  if (hyperparameters.empty() && reader.has("hyper_parameters")) reader("hyper_parameters", hyperparameters);

  // Each part checks what it is given before it changes; if a later part refuses, the earlier ones get back what they had.
  // (A copy, since a hook may write into the memory that it has.)
  const c10::IValue before = copied(training_state(engine));
  const bool stop_before = engine.stop_requested();
  const auto generators = engine.backend().generators();
  const c10::IValue random_before = random_states(generators);
  std::vector<std::string> left;
  try {
    left = load_training_state(engine, checkpoint_in_current_names(file), schedules);
    set_random_states(generators, random);
  } catch (...) {
    try {
      load_training_state(engine, before, ScheduleValues::taken_over);
    } catch (...) {  // a hook that takes nothing: the first exception says so
    }
    engine.stop_requested() = stop_before;
    engine.forget_tapes();
    set_random_states(generators, random_before);
    throw;
  }
  engine.hyperparameters() = std::move(hyperparameters);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i].tensor.copy_(loaded[i]);
    const bool had = weights[i].tensor.unsafeGetTensorImpl()->grad().defined();
    if (had || gradients[i].defined()) weights[i].tensor.mutable_grad() = gradients[i];
  }
  engine.begin_resumed();
  return left;
}

/// Whether this is the step or run of a hook, and no trainer.
template <class Host>
concept OfHook = requires { &Host::when_at_rest; };

template <class Host>
consteval bool can_be_saved() {
  static_assert(
      EngineAccess::knows<Host>,
      "fg::save_checkpoint and fg::load_checkpoint take a trainer, and fg::save_checkpoint also the `auto& step` of a "
      "hook, or the `auto& run` of one around a fit (fg::Step<Model>& and fg::Run& do not know the trainer). See "
      "docs/errors/checkpoint-host.md");
  if constexpr (EngineAccess::knows<Host>) {
    // Else the trainer has said what is wrong with it.
    return !std::is_same_v<std::remove_cvref_t<decltype(EngineAccess::of(std::declval<Host&>()))>, Nothing>;
  } else {
    return false;
  }
}

}  // namespace detail

/// Writes a training: parameters, buffers, optimizers, schedules, loss scale, counters, metrics, an open window with its
/// gradients, random streams, callbacks and hyper-parameters. Folders are made. The file appears whole or not at all, even
/// if the process is killed or the power is cut meanwhile; it is on the disk when this returns.
///
/// Given a trainer, it is called between two batches of the program's own loop, or after a fit. Given the `step` of a hook,
/// it is written as soon as the training rests: after the batch with the hooks of all others and the validation that follows
/// it; in an epoch's last batch and at its end, after the epoch and its plateau schedules. Given the `run` of a hook around
/// a fit, after that hook of the model and all callbacks. Its errors come out of `fit` or `loop.step` then.
///
/// A request to stop that ends this fit is not in the file, whether it came before or after: resumed, the training goes on
/// as if it had never been stopped.
///
/// Throws std::runtime_error that names the file, and std::logic_error for a trainer that fits, or of whose own loop a call
/// runs.
template <class Host>
void save_checkpoint(Host& host, const std::filesystem::path& path) {
  if constexpr (detail::can_be_saved<Host>()) {
    auto& engine = detail::EngineAccess::of(host);
    using Engine = std::remove_reference_t<decltype(engine)>;
    if constexpr (detail::OfHook<Host>) {
      host.when_at_rest([path](Engine& at_rest) { detail::write_checkpoint(at_rest, path); });
    } else {
      if (engine.clock().runs()) {
        throw std::logic_error(
            "fulgurite: fg::save_checkpoint(trainer, …) was called while the trainer fits: in a hook call "
            "fg::save_checkpoint(step, …), around a fit fg::save_checkpoint(run, …)");
      }
      if (const char* running = engine.own_call()) {
        throw std::logic_error(std::string("fulgurite: fg::save_checkpoint(trainer, …) was called in a hook of ") + running +
                               " of the same trainer, which still runs: in a hook call fg::save_checkpoint(step, …)");
      }
      detail::write_checkpoint(engine, path);
    }
  }
}

/// Reads what `save_checkpoint` wrote into a trainer of the same type, whose model has the same shape: `fit` or `loop()`
/// goes on from there, in the middle of an epoch too; `fit` then walks over the batches that were trained before. Every
/// weight stays where it lies in memory.
///
/// `schedules`: what becomes of a schedule that was made with other values than the one that was saved.
///
/// Throws std::runtime_error that names the file and what does not fit, and std::logic_error in a hook; nothing is changed
/// then.
template <class Trainer>
void load_checkpoint(Trainer& trainer, const std::filesystem::path& path,
                     ScheduleValues schedules = ScheduleValues::must_match) {
  if constexpr (detail::can_be_saved<Trainer>()) {
    auto& engine = detail::EngineAccess::of(trainer);
    if (engine.clock().runs()) {
      throw std::logic_error("fulgurite: fg::load_checkpoint was called while the trainer fits: call it before fit");
    }
    if (const char* running = engine.own_call()) {
      throw std::logic_error(std::string("fulgurite: fg::load_checkpoint was called in a hook of ") + running +
                             " of the same trainer, which still runs: call it when that one has returned");
    }
    std::optional<std::string> problem;
    std::vector<std::string> left;
    try {
      left = detail::load_checkpoint_of(engine, detail::read_checkpoint(path), schedules);
    } catch (const c10::Error& error) {
      problem = error.what_without_backtrace();
    } catch (const std::exception& error) {
      problem = error.what();
    }
    for (const std::string& name : left) {
      detail::notice("fulgurite: the checkpoint has the state of a callback " + name + ", which this trainer does not have");
    }
    if (!problem) return;
    if (constexpr std::string_view speaker = "fulgurite: "; problem->starts_with(speaker)) problem->erase(0, speaker.size());
    throw std::runtime_error("fulgurite: cannot load the checkpoint " + path.string() + ": " + *problem);
  }
}

}  // namespace fulgurite
