// SPDX-License-Identifier: MIT
// What optimizers and the backend say of an empty list of parameters.
#pragma once

namespace fulgurite::detail {

/// Why there is no parameter where some are expected.
inline constexpr const char* empty_parameter_list =
    "a module's parameters() holds those of its own that are registered, so write register_module(\"name\", module) for "
    "each module in it, and register_parameter(\"name\", tensor) for each tensor";

}  // namespace fulgurite::detail
