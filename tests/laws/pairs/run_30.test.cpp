// SPDX-License-Identifier: MIT
#include "laws/pairs/run.hpp"

TEST_CASE("every pair of policies, callbacks and optimizers compiles and trains: 30 to 39") {
  pairs::train_rows<30, 10>();
}
