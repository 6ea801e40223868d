// SPDX-License-Identifier: MIT
// The harness must fail here: the first error is right, but a second one follows.
// EXPECT: the first sentence
static_assert(sizeof(int) == 0, "the first sentence");
static_assert(sizeof(int) == 0, "the second sentence");
