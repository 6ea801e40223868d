// SPDX-License-Identifier: MIT
// Why a step cannot be recorded.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace fulgurite {

/// Thrown when a step was recorded, for the operator that a replay could not repeat.
class FrozenRefusal : public std::runtime_error {
 public:
  FrozenRefusal(std::string operator_name, std::string reason)
      : std::runtime_error("fulgurite: a step with " + operator_name + " cannot be frozen: " + reason),
        operator_name_(std::move(operator_name)),
        reason_(std::move(reason)) {}
  /// With a message of its own.
  FrozenRefusal(std::string operator_name, std::string reason, const std::string& message)
      : std::runtime_error(message), operator_name_(std::move(operator_name)), reason_(std::move(reason)) {}

  const std::string& operator_name() const { return operator_name_; }  ///< "aten::_local_scalar_dense"
  const std::string& reason() const { return reason_; }                ///< what is wrong, and the usual fix

 private:
  std::string operator_name_;
  std::string reason_;
};

}  // namespace fulgurite
