# SPDX-License-Identifier: MIT
# cmake -DHEADER=fulgurite/x.hpp -DROOT=... -DCOMMAND=compiler|argument|... -DSTAMP=file -P CheckHeader.cmake
#
# Passes if HEADER compiles when nothing of ours was included before it. The compiler stops at the header's end: it is spared the
# instantiations that LibTorch's headers leave for the end of a translation unit, most of the time that it would take.
# Writes STAMP, and STAMP.d: the headers of ours that HEADER includes, for the build's dependencies.

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

# Every include of ours is written <fulgurite/...>; tests/structure walks them in the same way.
set(seen "${HEADER}")
set(waiting "${HEADER}")
while(waiting)
  list(POP_FRONT waiting header)
  file(STRINGS "${ROOT}/${header}" lines REGEX "^ *# *include <fulgurite/")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE ".*<([^>]*)>.*" "\\1" included "${line}")
    if(NOT included IN_LIST seen AND EXISTS "${ROOT}/${included}")
      list(APPEND seen "${included}")
      list(APPEND waiting "${included}")
    endif()
  endforeach()
endwhile()
list(TRANSFORM seen PREPEND "${ROOT}/")
list(TRANSFORM seen REPLACE " " "\\\\ ")
list(JOIN seen " " seen)
file(WRITE "${STAMP}.d" "${STAMP}: ${seen}\n")
file(TOUCH "${STAMP}")
