# SPDX-License-Identifier: MIT
# Finds LibTorch 2.6 or later and makes the imported target Fulgurite::torch.
#
# Works with a distribution's package (Debian's libtorch-dev), the `torch` wheel of pip, and a LibTorch zip.
# LibTorch's own TorchConfig.cmake asks for a CUDA toolkit even to build a CPU program, so the libraries are
# linked here directly. Searched, in this order:
#   1. a target `torch` that exists already (then it is used as it is)
#   2. Torch_DIR, as a CMake or environment variable
#   3. Torch_ROOT, likewise
#   4. CMAKE_PREFIX_PATH, likewise (also the folder that `torch.utils.cmake_prefix_path` prints)
#   5. our own build only: the private environment that scripts/setup makes in .deps/
#   6. the system
# CUDA is linked where the LibTorch has it, a CUDA toolkit of the same major version is found, and every library it needs
# is there; -DFULGURITE_CUDA=OFF leaves it out, -DFULGURITE_CUDA=ON makes its absence an error.

if(TARGET Fulgurite::torch)
  return()
endif()

set(FULGURITE_CUDA AUTO CACHE STRING "Link LibTorch's CUDA libraries: AUTO, ON or OFF")
set_property(CACHE FULGURITE_CUDA PROPERTY STRINGS AUTO ON OFF)

set(_fulgurite_torch_header include/torch/csrc/api/include/torch/torch.h)

# The folders that `value`, of Torch_DIR or Torch_ROOT, may mean.
function(_fulgurite_torch_prefixes out name value)
  set(prefixes ${value})
  if(name MATCHES "DIR$")  # <prefix>/share/cmake/Torch, or deeper in a distribution's package
    set(prefixes "")
    while(value AND NOT value STREQUAL "/")
      get_filename_component(value "${value}" DIRECTORY)
      list(APPEND prefixes "${value}")
    endwhile()
  endif()
  set(${out} "${prefixes}" PARENT_SCOPE)
endfunction()

# Sets `wrong` to sentences about values of Torch_DIR and Torch_ROOT in which there is no LibTorch.
function(_fulgurite_torch_candidates out wrong_out)
  set(prefixes "")
  set(wrong "")
  foreach(name IN ITEMS Torch_DIR Torch_ROOT)
    foreach(value IN ITEMS "${${name}}" "$ENV{${name}}")
      if(NOT value)  # Torch_DIR-NOTFOUND, too
        continue()
      endif()
      _fulgurite_torch_prefixes(meant ${name} "${value}")
      list(APPEND prefixes ${meant})
      set(leads_to_one FALSE)
      foreach(prefix IN LISTS meant)
        if(EXISTS "${prefix}/${_fulgurite_torch_header}")
          set(leads_to_one TRUE)
        endif()
      endforeach()
      if(leads_to_one)
        continue()
      endif()
      string(APPEND wrong "\n  ${name} leads to no LibTorch: ${value}")  # CMake breaks no line that begins with a blank
      if(value MATCHES "[*?]")
        string(APPEND wrong " (nothing expands a * there: neither CMake nor a shell within -D${name}=...)")
      elseif(NOT IS_ABSOLUTE "${value}")
        string(APPEND wrong " (give the whole path, from / on)")
      endif()
    endforeach()
  endforeach()
  string(REPLACE ":" ";" environment "$ENV{CMAKE_PREFIX_PATH}")
  foreach(prefix IN LISTS CMAKE_PREFIX_PATH environment)
    list(APPEND prefixes "${prefix}")
    if(prefix MATCHES "/share/cmake/?$")
      list(APPEND prefixes "${prefix}/../..")
    endif()
  endforeach()
  if(PROJECT_IS_TOP_LEVEL AND EXISTS "${PROJECT_SOURCE_DIR}/.deps/complete")
    file(GLOB private_environment "${PROJECT_SOURCE_DIR}/.deps/python/lib/python3*/site-packages/torch")
    list(APPEND prefixes ${private_environment})
  endif()
  list(APPEND prefixes ${CMAKE_SYSTEM_PREFIX_PATH})
  set(${out} "${prefixes}" PARENT_SCOPE)
  set(${wrong_out} "${wrong}" PARENT_SCOPE)
endfunction()

# The libraries that `file` needs and the dynamic linker does not find, and the major version of the CUDA that it was built
# with (empty if it does not tell).
function(_fulgurite_needs_of_torch_cuda file missing_out cuda_out)
  execute_process(COMMAND ldd "${file}" OUTPUT_VARIABLE needed ERROR_QUIET)
  string(REGEX MATCHALL "[^ \t\n]+ => not found" missing "${needed}")
  list(TRANSFORM missing REPLACE " => not found" "")
  set(${missing_out} "${missing}" PARENT_SCOPE)
  set(cuda "")
  if(needed MATCHES "libcudart[^ \t\n]*\\.so\\.([0-9]+)")
    set(cuda "${CMAKE_MATCH_1}")
  endif()
  set(${cuda_out} "${cuda}" PARENT_SCOPE)
endfunction()

function(_fulgurite_torch_version out)
  foreach(dir IN LISTS ARGN)
    foreach(header IN ITEMS torch/csrc/api/include/torch/version.h torch/version.h torch/headeronly/version.h)
      if(EXISTS "${dir}/${header}")
        file(STRINGS "${dir}/${header}" lines REGEX "^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
        if(lines)
          string(REGEX REPLACE "[^0-9;]" "" version "${lines}")
          list(JOIN version "." version)
          set(${out} "${version}" PARENT_SCOPE)
          return()
        endif()
      endif()
    endforeach()
  endforeach()
  set(${out} "" PARENT_SCOPE)
endfunction()

function(_fulgurite_require_torch_version version where)
  if(version VERSION_LESS 2.6)
    message(FATAL_ERROR
      "Fulgurite needs LibTorch 2.6 or later; ${where} holds ${version}.\n"
      "Point Torch_DIR to the share/cmake/Torch folder of a newer one (a pip wheel or a LibTorch zip), "
      "or unset it and run scripts/setup, which installs one.")
  endif()
endfunction()

function(_fulgurite_add_torch)
  if(TARGET torch)
    get_target_property(dirs torch INTERFACE_INCLUDE_DIRECTORIES)
    _fulgurite_torch_version(version ${dirs} ${TORCH_INCLUDE_DIRS})
    if(version)
      _fulgurite_require_torch_version(${version} "the target `torch`")
    endif()
    add_library(Fulgurite::torch INTERFACE IMPORTED GLOBAL)
    target_link_libraries(Fulgurite::torch INTERFACE torch)
    target_include_directories(Fulgurite::torch INTERFACE ${TORCH_INCLUDE_DIRS})
    message(STATUS "LibTorch ${version}: the target `torch` of the enclosing build")
    return()
  endif()

  set(api torch/csrc/api/include)
  _fulgurite_torch_candidates(candidates wrong)
  set(prefix "")
  foreach(candidate IN LISTS candidates)
    if(EXISTS "${candidate}/${_fulgurite_torch_header}")
      get_filename_component(prefix "${candidate}" REALPATH)
      break()
    endif()
  endforeach()
  if(NOT prefix)
    # Beside this file if it is in the source tree.
    file(GLOB installed_by_us "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../.deps/python/lib/python3*/site-packages/torch")
    if(installed_by_us)
      list(GET installed_by_us 0 installed_by_us)
      get_filename_component(installed_by_us "${installed_by_us}" ABSOLUTE)
      set(ours "-DTorch_ROOT=${installed_by_us}")
    else()
      set(ours "-DTorch_ROOT=\"$(echo <Fulgurite>/.deps/python/lib/python3*/site-packages/torch)\"")
    endif()
    message(FATAL_ERROR
      "LibTorch was not found.${wrong}\n"
      "Point Torch_ROOT to the folder of one: a LibTorch zip, or the `torch` folder of a pip wheel. That of the one that "
      "Fulgurite's scripts/setup installs is given by\n"
      "  ${ours}\n"
      "Or install a distribution's package (libtorch-dev). In a build of Fulgurite itself, run scripts/setup.")
  endif()
  if(wrong)
    message(WARNING "LibTorch is taken from ${prefix}, since${wrong}")
  endif()

  set(include_dirs "${prefix}/include" "${prefix}/include/${api}")
  _fulgurite_torch_version(version ${prefix}/include)
  _fulgurite_require_torch_version("${version}" "${prefix}")

  set(suffixes lib "lib/${CMAKE_LIBRARY_ARCHITECTURE}" lib64)
  foreach(name IN ITEMS torch_cpu c10 torch_cuda c10_cuda)
    find_library(${name}_file ${name} PATHS "${prefix}" PATH_SUFFIXES ${suffixes} NO_DEFAULT_PATH NO_CACHE)
  endforeach()
  if(NOT torch_cpu_file OR NOT c10_file)
    message(FATAL_ERROR "${prefix} has LibTorch's headers, but libtorch_cpu or libc10 is missing from its lib folder.")
  endif()

  add_library(Fulgurite::torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(Fulgurite::torch INTERFACE ${include_dirs})
  target_link_libraries(Fulgurite::torch INTERFACE "${torch_cpu_file}" "${c10_file}")

  # A library built with the old std::string needs the same of its users.
  set(config "${prefix}/share/cmake/Torch/TorchConfig.cmake")
  if(EXISTS "${config}")
    file(STRINGS "${config}" old_abi REGEX "_GLIBCXX_USE_CXX11_ABI=0")
    if(old_abi)
      target_compile_definitions(Fulgurite::torch INTERFACE _GLIBCXX_USE_CXX11_ABI=0)
      message(STATUS "LibTorch is built with the old C++ ABI: _GLIBCXX_USE_CXX11_ABI=0 is passed on to everything linked with it")
    endif()
  endif()

  set(device "CPU")
  if(NOT FULGURITE_CUDA STREQUAL "OFF")
    if(NOT torch_cuda_file OR NOT c10_cuda_file)
      set(why_not "this LibTorch is built without CUDA")
    else()
      find_package(CUDAToolkit QUIET)
      _fulgurite_needs_of_torch_cuda("${torch_cuda_file}" missing cuda)
      if(NOT CUDAToolkit_FOUND)
        set(why_not "no CUDA toolkit was found")
      elseif(cuda AND NOT cuda EQUAL CUDAToolkit_VERSION_MAJOR)
        set(why_not "this LibTorch is built with CUDA ${cuda}, and the toolkit is ${CUDAToolkit_VERSION} (set CUDAToolkit_ROOT to another)")
      elseif(missing)
        list(JOIN missing ", " missing)
        set(why_not "LibTorch's CUDA libraries need ${missing}")
      endif()
    endif()
    if(why_not AND NOT FULGURITE_CUDA STREQUAL "AUTO")
      message(FATAL_ERROR "FULGURITE_CUDA is ${FULGURITE_CUDA}, but ${why_not}.")
    elseif(why_not)
      set(device "CPU only: ${why_not}")
    else()
      # Nothing refers to a symbol of torch_cuda: it registers its operators when it is loaded.
      target_link_libraries(Fulgurite::torch INTERFACE
        -Wl,--push-state,--no-as-needed "${torch_cuda_file}" "${c10_cuda_file}" -Wl,--pop-state CUDA::cudart)
      set(device "CPU and CUDA ${CUDAToolkit_VERSION}")
      set(FULGURITE_TORCH_CUDA ON PARENT_SCOPE)
    endif()
  endif()
  message(STATUS "LibTorch ${version}: ${prefix} (${device})")

  if(EXISTS "${prefix}/include/c10/cuda/impl/cuda_cmake_macros.h")  # a LibTorch for CPUs lacks it
    set(FULGURITE_TORCH_CUDA_HEADERS ON PARENT_SCOPE)
  endif()
  set(FULGURITE_TORCH_PREFIX "${prefix}" PARENT_SCOPE)
  set(FULGURITE_TORCH_VERSION "${version}" PARENT_SCOPE)
endfunction()

_fulgurite_add_torch()
