// SPDX-License-Identifier: MIT
// The way from a trainer, or from what a hook is handed, to its engine.
#pragma once

#include <type_traits>

namespace fulgurite::detail {

/// Used by fg::save_checkpoint and fg::load_checkpoint, which stand above the engine.
struct EngineAccess {
  template <class Host>
  static auto& of(Host& host) {
    if constexpr (std::is_pointer_v<decltype(host.engine_)>) {
      return *host.engine_;
    } else {
      return host.engine_;
    }
  }
  template <class Host>
  static constexpr bool knows = requires(Host& host) { host.engine_; };
};

}  // namespace fulgurite::detail
