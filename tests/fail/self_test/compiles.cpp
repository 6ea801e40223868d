// SPDX-License-Identifier: MIT
// The harness must fail here: the file compiles.
// EXPECT: anything
static_assert(sizeof(int) > 0);
