// SPDX-License-Identifier: MIT
// The harness must fail here: a missing header is no diagnostic of ours.
// EXPECT: does_not_exist
#include <fulgurite/does_not_exist.hpp>
