// SPDX-License-Identifier: MIT
#include "laws/pairs/run.hpp"

TEST_CASE("every pair of policies, callbacks and optimizers compiles and trains: 10 to 19") {
  pairs::train_rows<10, 10>();
}
