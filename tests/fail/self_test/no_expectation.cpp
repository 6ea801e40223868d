// SPDX-License-Identifier: MIT
// The harness must fail here: the file does not say what it expects.
static_assert(sizeof(int) == 0, "some sentence");
