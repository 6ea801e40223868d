// SPDX-License-Identifier: MIT
#include <fulgurite/hooks.hpp>

#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace fg = fulgurite;

namespace {
struct Absent {};
class Private {
  void teardown();
};
struct Overloaded {
  void teardown();
  void teardown(int);
};
struct Inherited : Overloaded {};
template <class Host>
constexpr bool present = fg::hooks::present<fg::hooks::teardown_hook, Host>;
static_assert(!present<Absent> && present<Private> && present<Overloaded> && present<Inherited>);
}  // namespace
