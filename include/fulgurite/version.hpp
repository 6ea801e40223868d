// SPDX-License-Identifier: MIT
// The library's version; the build reads it from here.
#pragma once

#define FULGURITE_VERSION_MAJOR 0
#define FULGURITE_VERSION_MINOR 1
#define FULGURITE_VERSION_PATCH 0
