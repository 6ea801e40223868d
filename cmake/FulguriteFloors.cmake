# SPDX-License-Identifier: MIT
# The floors of include/fulgurite, in one place. A floor is a set of folders; the header `x.hpp` beside the folder `x/` belongs
# to it. A header includes its own floor or one below, and floor 2 includes floor 0 only: it is written against concepts.
# tests/structure/floors.test.cpp follows the includes and proves it.

# 0 language: policies, hook concepts, schedules as arithmetic. No LibTorch, no range-v3.
set(FULGURITE_FLOOR_0 concepts detail hooks logging policies schedulers version)
# 1 tensors
set(FULGURITE_FLOOR_1 averaging data frozen optim tensors)
# 2 loop. No LibTorch, no range-v3.
set(FULGURITE_FLOOR_2 loop trainer)
# 3 edges
set(FULGURITE_FLOOR_3 callbacks checkpoint cuda loggers)
# 4 what includes all of them
set(FULGURITE_FLOOR_4 core fulgurite)

# fulgurite_libraries_of(out file folder...): sets `out` to the libraries of which `file` includes headers, itself or through
# files of ours, each by the first folder of its headers: `ATen`, `range`, `boost`. Files of ours are sought in the folders,
# and beside the file that includes them in quotes. <vector> and <unistd.h> are in no folder, and no library's.
function(fulgurite_libraries_of out file)
  get_property(is_known GLOBAL PROPERTY "fulgurite_libraries_of ${file}" SET)
  if(NOT is_known)
    set(libraries "")
    get_filename_component(folder "${file}" DIRECTORY)
    file(STRINGS "${file}" lines REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
    foreach(line IN LISTS lines)
      if(NOT line MATCHES "([<\"])([^>\"]+)[>\"]")
        continue()
      endif()
      set(name "${CMAKE_MATCH_2}")
      set(folders ${ARGN})
      if(CMAKE_MATCH_1 STREQUAL "\"")
        list(PREPEND folders "${folder}")
      endif()
      set(found "")
      foreach(each IN LISTS folders)
        if(EXISTS "${each}/${name}")
          get_filename_component(found "${each}/${name}" ABSOLUTE)
          break()
        endif()
      endforeach()
      if(found)
        fulgurite_libraries_of(of_found "${found}" ${ARGN})
        list(APPEND libraries ${of_found})
      elseif(name MATCHES "^([^/]+)/")
        list(APPEND libraries "${CMAKE_MATCH_1}")
      endif()
    endforeach()
    list(REMOVE_DUPLICATES libraries)
    set_property(GLOBAL PROPERTY "fulgurite_libraries_of ${file}" "${libraries}")
  endif()
  get_property(libraries GLOBAL PROPERTY "fulgurite_libraries_of ${file}")
  set(${out} "${libraries}" PARENT_SCOPE)
endfunction()

# Splits the public headers into those of Fulgurite::core, which reach neither LibTorch nor range-v3, and the others.
function(fulgurite_split_headers out_core out_torch)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS
    RELATIVE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/include/fulgurite/*.hpp")
  set(core "")
  set(torch "")
  foreach(header IN LISTS headers)
    fulgurite_libraries_of(libraries "${PROJECT_SOURCE_DIR}/${header}" "${PROJECT_SOURCE_DIR}/include")
    list(REMOVE_ITEM libraries boost sys)
    if(libraries)
      list(APPEND torch "${header}")
    else()
      list(APPEND core "${header}")
    endif()
  endforeach()
  set(${out_core} "${core}" PARENT_SCOPE)
  set(${out_torch} "${torch}" PARENT_SCOPE)
endfunction()
