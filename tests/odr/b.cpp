// SPDX-License-Identifier: MIT
#include <fulgurite/fulgurite.hpp>

int other_translation_unit();

int other_translation_unit() { return 0; }
