// SPDX-License-Identifier: MIT
#include <fulgurite/fulgurite.hpp>

int main() { return fulgurite::ClipNorm{.max = 0.5}.max == 0.5 ? 0 : 1; }
