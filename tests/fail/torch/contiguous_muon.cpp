// SPDX-License-Identifier: MIT
// EXPECT: fg::Contiguous hides the shapes of parameters, on which this optimizer works
// EXPECT: See docs/errors/contiguous\.md
#include <fulgurite/optim/muon.hpp>

#include <vector>

namespace fg = fulgurite;

fg::Muon make(const std::vector<at::Tensor>& parameters) { return {parameters, {}, fg::Contiguous{}}; }
