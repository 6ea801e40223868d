// SPDX-License-Identifier: MIT
#include "laws/pairs/run.hpp"

TEST_CASE("every pair of policies, callbacks and optimizers compiles and trains: 0 to 9") {
  pairs::train_rows<0, 10>();
}
