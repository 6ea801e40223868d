// SPDX-License-Identifier: MIT
// One example, or one batch of them: what LibTorch's own data sets and loaders hand out.
#pragma once

#include <torch/data/example.h>

namespace fulgurite {

/// `{.data, .target}`, two tensors. As a batch, the first dimension of both counts the examples.
using Example = torch::data::Example<>;

}  // namespace fulgurite
