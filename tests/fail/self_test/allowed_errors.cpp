// SPDX-License-Identifier: MIT
// The harness accepts this file: it says that there are two errors.
// EXPECT: the first sentence
// ERRORS: 2
static_assert(sizeof(int) == 0, "the first sentence");
static_assert(sizeof(int) == 0, "the second sentence");
