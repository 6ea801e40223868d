// SPDX-License-Identifier: MIT
#include "laws/pairs/run.hpp"

TEST_CASE("every pair of policies, callbacks and optimizers compiles and trains: 20 to 29") {
  pairs::train_rows<20, 10>();
}
