// SPDX-License-Identifier: MIT
// Two translation units with the whole library link into one program.
#include <fulgurite/fulgurite.hpp>

int other_translation_unit();

int main() { return other_translation_unit(); }
