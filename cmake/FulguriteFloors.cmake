# SPDX-License-Identifier: MIT
# The floors of include/fulgurite, in one place. An entry `x` names the header `x.hpp` and the folder `x/`;
# the longest entry that fits a header decides. A header includes its own floor or one below;
# tests/structure/floors.test.cpp walks the includes and proves it.

# 0 language: policies, hook concepts, schedules as arithmetic. No LibTorch, no range-v3.
set(FULGURITE_FLOOR_0 version detail policies hooks schedulers logging
    optim/optimizer callbacks/callback callbacks/early_stopping data/batches loop/backend
    loop/step_watcher)
# 1 tensors
set(FULGURITE_FLOOR_1 tensors optim data checkpoint averaging frozen)
# 2 engine: written against concepts. No LibTorch, no range-v3.
set(FULGURITE_FLOOR_2 loop trainer core)
# 3 edges
set(FULGURITE_FLOOR_3 callbacks cuda distributed interop)
# 4 the umbrella
set(FULGURITE_FLOOR_4 fulgurite)

# Sets `out` to the floor of a header, given relative to include/fulgurite (`optim/sgd.hpp`).
function(fulgurite_floor_of header out)
  string(REGEX REPLACE "\\.hpp$" "" stem "${header}")
  set(found "")
  set(found_length 0)
  foreach(floor RANGE 0 4)
    foreach(entry IN LISTS FULGURITE_FLOOR_${floor})
      string(LENGTH "${entry}" length)
      if("${stem}/" MATCHES "^${entry}/" AND length GREATER found_length)
        set(found ${floor})
        set(found_length ${length})
      endif()
    endforeach()
  endforeach()
  if(found STREQUAL "")
    message(FATAL_ERROR "include/fulgurite/${header} stands on no floor: add it to cmake/FulguriteFloors.cmake.")
  endif()
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# Splits the public headers into those of Fulgurite::core (floors 0 and 2) and those that need LibTorch.
function(fulgurite_split_headers out_core out_torch)
  set(root "${PROJECT_SOURCE_DIR}/include/fulgurite")
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${root}" "${root}/*.hpp")
  set(core "")
  set(torch "")
  foreach(header IN LISTS headers)
    fulgurite_floor_of("${header}" floor)
    if(floor EQUAL 0 OR floor EQUAL 2)
      list(APPEND core "include/fulgurite/${header}")
    else()
      list(APPEND torch "include/fulgurite/${header}")
    endif()
  endforeach()
  set(${out_core} "${core}" PARENT_SCOPE)
  set(${out_torch} "${torch}" PARENT_SCOPE)
endfunction()
