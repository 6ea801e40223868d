// SPDX-License-Identifier: MIT
// The harness accepts this file: one error, and its sentence.
// EXPECT: static.assert.*the sentence of this file; with \[brackets\] and a semicolon
// EXPECT: See docs/errors/nothing\.md
static_assert(sizeof(int) == 0, "the sentence of this file; with [brackets] and a semicolon. See docs/errors/nothing.md");
