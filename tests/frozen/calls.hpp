// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/record_function.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace frozen_tests {

/// Names of the operators that a scope calls through the dispatcher. Those of a replay do not come by.
class Calls {
 public:
  Calls() {
    names().clear();
    handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback([](const at::RecordFunction& call) {
                                           names().emplace_back(call.name());
                                           return std::unique_ptr<at::ObserverContext>();
                                         }).scopes({at::RecordScope::FUNCTION}));
  }
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;
  ~Calls() { at::removeCallback(handle_); }

  static bool include(const std::string& name) {
    return std::find(names().begin(), names().end(), name) != names().end();
  }

 private:
  static std::vector<std::string>& names() {
    static std::vector<std::string> all;
    return all;
  }

  at::CallbackHandle handle_;
};

}  // namespace frozen_tests
