// SPDX-License-Identifier: MIT
// The harness must fail here: the file is refused, but with another sentence.
// EXPECT: the sentence that was promised
static_assert(sizeof(int) == 0, "quite another sentence");
