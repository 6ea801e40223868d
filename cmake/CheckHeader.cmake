# SPDX-License-Identifier: MIT
# cmake -DHEADER=fulgurite/x.hpp -DROOT=... -DCOMMAND=compiler|argument|... -DSTAMP=file -P CheckHeader.cmake
#
# Passes if HEADER compiles when nothing of ours was included before it. The compiler stops at the header's end: it is spared the
# instantiations that LibTorch's headers leave for the end of a translation unit, most of the time that it would take.
# Writes STAMP, and STAMP.d: the headers of ours that HEADER includes, for the build's dependencies.

cmake_policy(VERSION 3.25)
set(ENV{LC_ALL} C)
string(REPLACE "|" ";" COMMAND "${COMMAND}")
get_filename_component(folder "${STAMP}" DIRECTORY)
file(MAKE_DIRECTORY "${folder}")
file(WRITE "${STAMP}.cpp" "#include <${HEADER}>\nstatic_assert(sizeof(int) == 0, \"this is the end of the header\");\n")
execute_process(COMMAND ${COMMAND} -fsyntax-only -Wfatal-errors "${STAMP}.cpp"
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
string(REGEX MATCH "[^\n]*error: [^\n]*" first_error "${output}")
if(result EQUAL 0 OR NOT first_error MATCHES "this is the end of the header")
  message("${output}")
  message(FATAL_ERROR "${HEADER} does not compile alone.")
endif()

# Ours are included as <fulgurite/...>, or in quotes from the includer's folder.
set(seen "${ROOT}/${HEADER}")
set(waiting "${seen}")
while(waiting)
  list(POP_FRONT waiting header)
  get_filename_component(folder "${header}" DIRECTORY)
  file(STRINGS "${header}" lines REGEX "^ *# *include (<fulgurite/|\")")
  foreach(line IN LISTS lines)
    if(line MATCHES "<([^>]*)>")
      set(included "${ROOT}/${CMAKE_MATCH_1}")
    elseif(line MATCHES "\"([^\"]*)\"")
      get_filename_component(included "${CMAKE_MATCH_1}" ABSOLUTE BASE_DIR "${folder}")
    endif()
    if(NOT included IN_LIST seen AND EXISTS "${included}")
      list(APPEND seen "${included}")
      list(APPEND waiting "${included}")
    endif()
  endforeach()
endwhile()
list(TRANSFORM seen REPLACE " " "\\\\ ")
list(JOIN seen " " seen)
file(WRITE "${STAMP}.d" "${STAMP}: ${seen}\n")
file(TOUCH "${STAMP}")
