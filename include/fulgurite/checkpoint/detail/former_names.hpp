// SPDX-License-Identifier: MIT
// Checkpoints that were saved before schedules and averages had PyTorch's and Lightning's names.
#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <cctype>
#include <string>
#include <string_view>

#include <fulgurite/tensors/ivalue.hpp>

namespace fulgurite::detail {

struct FormerName {
  std::string_view former;
  std::string_view now;
};
inline constexpr FormerName former_names[] = {{"AnnealTo", "SWALR"},
                                              {"ChainedSchedules", "ChainedScheduler"},
                                              {"ConstantSchedule", "ConstantLR"},
                                              {"CosineAnnealing.period", "CosineAnnealingLR.t_max"},
                                              {"CosineAnnealing", "CosineAnnealingLR"},
                                              {"CosineWarmRestarts", "CosineAnnealingWarmRestarts"},
                                              {"CyclicSchedule", "CyclicLR"},
                                              {"ExponentialAverage", "EMAWeightAveraging"},
                                              {"ExponentialDecay", "ExponentialLR"},
                                              {"LambdaSchedule", "LambdaLR"},
                                              {"LinearSchedule", "LinearLR"},
                                              {"MultiplicativeSchedule", "MultiplicativeLR"},
                                              {"MultiStepDecay", "MultiStepLR"},
                                              {"OneCycle", "OneCycleLR"},
                                              {"Plateau", "ReduceLROnPlateau"},
                                              {"PolynomialDecay", "PolynomialLR"},
                                              {"SequentialSchedule", "SequentialLR"},
                                              {"StepDecay", "StepLR"},
                                              {"StochasticWeightAverage", "StochasticWeightAveraging"}};

/// `name` with a former class name in it replaced: "_schedulers.0.StepDecay.gamma" is "_schedulers.0.StepLR.gamma".
inline std::string current_name(std::string name) {
  const auto is_letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (const FormerName& each : former_names) {
    const auto begin = name.find(each.former);
    if (begin == std::string::npos || (begin > 0 && is_letter(name[begin - 1]))) continue;
    const auto end = begin + each.former.size();
    if (end < name.size() && is_letter(name[end])) continue;
    return name.replace(begin, each.former.size(), each.now);
  }
  return name;
}

/// The state of a training with the current names: in the keys of its dictionaries, and in what they have under "class",
/// "class_0", …
inline c10::IValue training_in_current_names(const c10::IValue& training) {
  if (!training.isGenericDict()) return training;
  auto current = new_dict(training.toGenericDict().keyType());
  for (const auto& entry : training.toGenericDict()) {
    if (!entry.key().isString()) return training;
    const std::string& key = entry.key().toStringRef();
    const bool is_class = key.starts_with("class") && entry.value().isString();
    current.insert(current_name(key), is_class ? c10::IValue(current_name(entry.value().toStringRef()))
                                               : training_in_current_names(entry.value()));
  }
  return current;
}

/// A checkpoint's dictionary with the current names of schedules and callbacks. What callbacks and the model keep is theirs.
inline c10::IValue checkpoint_in_current_names(const c10::IValue& checkpoint) {
  auto current = new_dict(c10::StringType::get());
  for (const auto& entry : checkpoint.toGenericDict()) {
    c10::IValue value = entry.value();
    if (entry.key().toStringRef() == "training") {
      value = training_in_current_names(value);
    } else if (entry.key().toStringRef() == "callbacks" && value.isGenericDict()) {
      auto callbacks = new_dict(c10::StringType::get());
      for (const auto& callback : value.toGenericDict()) {
        callbacks.insert(current_name(callback.key().toStringRef()), callback.value());
      }
      value = callbacks;
    }
    current.insert(entry.key(), value);
  }
  return current;
}

}  // namespace fulgurite::detail
