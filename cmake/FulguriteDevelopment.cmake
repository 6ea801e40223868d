# SPDX-License-Identifier: MIT
# Our own build: tests, examples, benchmarks. Nothing here is installed or reaches a user.

# Warnings as errors.
add_library(fulgurite_dev INTERFACE)
target_compile_options(fulgurite_dev INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)

# ccache, where there is one. A precompiled header is cached only with these settings.
find_program(FULGURITE_CCACHE ccache)
mark_as_advanced(FULGURITE_CCACHE)
if(FULGURITE_CCACHE AND PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${FULGURITE_CCACHE}")
  target_compile_options(fulgurite_dev INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>
    "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>")
endif()

if(TARGET fulgurite)
  # <torch/torch.h> costs ten seconds a file: it is compiled once, and every target of ours shares the result.
  file(CONFIGURE OUTPUT fulgurite_pch.cpp CONTENT "// Holds the shared precompiled header.\n")
  add_library(fulgurite_pch OBJECT "${CMAKE_CURRENT_BINARY_DIR}/fulgurite_pch.cpp")
  target_link_libraries(fulgurite_pch PRIVATE Fulgurite::fulgurite fulgurite_dev)
  target_precompile_headers(fulgurite_pch PRIVATE <torch/torch.h>)
endif()

# fulgurite_use_torch(target): LibTorch, the library and the shared precompiled header.
function(fulgurite_use_torch target)
  target_link_libraries(${target} PRIVATE Fulgurite::fulgurite fulgurite_dev)
  target_precompile_headers(${target} REUSE_FROM fulgurite_pch)
endfunction()

# fulgurite_use_core(target): the torch-free part alone.
function(fulgurite_use_core target)
  target_link_libraries(${target} PRIVATE Fulgurite::core fulgurite_dev)
endfunction()
