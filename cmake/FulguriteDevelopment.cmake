# SPDX-License-Identifier: MIT
# Our own build: tests, examples, benchmarks. Nothing here is installed or reaches a user.

# Warnings as errors.
add_library(fulgurite_dev INTERFACE)
target_compile_options(fulgurite_dev INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
# g++ looks through its memory for garbage again and again, a sixth of its time, and finds a tenth to give back.
set(fulgurite_no_garbage_collection --param=ggc-min-heapsize=4000000)
target_compile_options(fulgurite_dev INTERFACE $<$<CXX_COMPILER_ID:GNU>:${fulgurite_no_garbage_collection}>)

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

# What is compiled to be run once or not at all is compiled without optimisation, in half the time. What is measured, or is a
# program of its own, is compiled as the build type says.
option(FULGURITE_THOROUGH "Compile tests and examples as the build type says, and each header with no precompiled one: takes twice as long" OFF)
add_library(fulgurite_unmeasured INTERFACE)
target_link_libraries(fulgurite_unmeasured INTERFACE fulgurite_dev)
if(NOT FULGURITE_THOROUGH)
  target_compile_options(fulgurite_unmeasured INTERFACE $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-O0>)
endif()

if(TARGET fulgurite)
  # <torch/torch.h> costs ten seconds a file: it is compiled once, and every unmeasured target shares the result.
  file(CONFIGURE OUTPUT fulgurite_pch.cpp CONTENT "// Holds the shared precompiled header.\n")
  add_library(fulgurite_pch OBJECT "${CMAKE_CURRENT_BINARY_DIR}/fulgurite_pch.cpp")
  target_link_libraries(fulgurite_pch PRIVATE Fulgurite::fulgurite fulgurite_unmeasured)
  target_precompile_headers(fulgurite_pch PRIVATE <torch/torch.h>)
endif()

# fulgurite_use_torch(target [MEASURED]): LibTorch, the library and the shared precompiled header. A precompiled header serves
# one level of optimisation: where tests are compiled at another, a MEASURED target does without.
function(fulgurite_use_torch target)
  if("MEASURED" IN_LIST ARGN)
    target_link_libraries(${target} PRIVATE Fulgurite::fulgurite fulgurite_dev)
    if(NOT FULGURITE_THOROUGH AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
      return()
    endif()
  else()
    target_link_libraries(${target} PRIVATE Fulgurite::fulgurite fulgurite_unmeasured)
  endif()
  target_precompile_headers(${target} REUSE_FROM fulgurite_pch)
endfunction()

# fulgurite_use_core(target): the torch-free part alone.
function(fulgurite_use_core target)
  target_link_libraries(${target} PRIVATE Fulgurite::core fulgurite_unmeasured)
endfunction()

# Sets `out` to the compiler with what it is given for a file that includes the library: fulgurite_compiler_command(out CORE) or,
# with LibTorch and the shared precompiled header, fulgurite_compiler_command(out TORCH). A list, for add_custom_command.
function(fulgurite_compiler_command out what)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  separate_arguments(flags NATIVE_COMMAND "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}")
  set(command "${CMAKE_CXX_COMPILER}" ${flags} ${CMAKE_CXX20_EXTENSION_COMPILE_OPTION})
  if(NOT FULGURITE_THOROUGH AND CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo|MinSizeRel)$")
    list(APPEND command -O0)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND command ${fulgurite_no_garbage_collection})
  endif()
  set(targets Boost::headers)
  if(what STREQUAL "TORCH")
    list(APPEND targets Fulgurite::torch range-v3::range-v3)
    set(header "${PROJECT_BINARY_DIR}/CMakeFiles/fulgurite_pch.dir/cmake_pch.hxx")
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
      list(APPEND command -Xclang -include-pch -Xclang "${header}.pch" -Xclang -include -Xclang "${header}")
    else()
      list(APPEND command -include "${header}")
    endif()
  endif()
  list(APPEND command "-I${PROJECT_SOURCE_DIR}/include")
  foreach(target IN LISTS targets)
    get_target_property(definitions ${target} INTERFACE_COMPILE_DEFINITIONS)
    if(definitions)
      list(TRANSFORM definitions PREPEND "-D")
      list(APPEND command ${definitions})
    endif()
    get_target_property(dirs ${target} INTERFACE_INCLUDE_DIRECTORIES)
    foreach(dir IN LISTS dirs)
      if(dir AND NOT dir STREQUAL "/usr/include")  # searched anyway; moved to the front it breaks #include_next
        list(APPEND command -isystem "${dir}")
      endif()
    endforeach()
  endforeach()
  set(${out} "${command}" PARENT_SCOPE)
endfunction()
