# SPDX-License-Identifier: MIT
# cmake -DSOURCE=... -DSAID=file -P ExpectCompileError.cmake
#
# Reads in SAID what the compiler said of SOURCE (CompileMisuse.cmake). Passes only if it refused SOURCE with exactly one
# error, whose line matches each regular expression that SOURCE carries as `// EXPECT: <regex>`. Where a compiler adds an
# error of its own, the file says `// ERRORS: <n>`. The regular expressions are CMake's: ( ) [ ] . * + ? ^ $ | \ are special.

set(ENV{LC_ALL} C)

# message(FATAL_ERROR) would wrap the lines.
macro(fail text)
  message("${text}")
  message(FATAL_ERROR "failed")
endmacro()

file(READ "${SOURCE}" source)
if(NOT source MATCHES "// EXPECT: ")
  fail("${SOURCE} has no line `// EXPECT: <regex>`.")
endif()
set(expected_errors 1)
if(source MATCHES "// ERRORS: ([0-9]+)")
  set(expected_errors ${CMAKE_MATCH_1})
endif()

file(READ "${SAID}" output)
if(NOT output MATCHES "^exit status: ([^\n]*)\n")
  fail("${SAID} does not begin with an exit status.")
endif()
if(CMAKE_MATCH_1 STREQUAL "0")
  fail("${SOURCE} compiles, but must be refused.")
endif()
if(output MATCHES ": fatal error: ")
  fail("${SOURCE} ends in a fatal error:\n${output}")
endif()

string(REGEX MATCHALL ": error: " errors "${output}")
list(LENGTH errors count)
string(REGEX MATCH "[^\n]*: error: [^\n]*" first_error "${output}")

while(source MATCHES "// EXPECT: ([^\n]*)")
  set(expectation "${CMAKE_MATCH_1}")
  if(NOT first_error MATCHES "${expectation}")
    fail(
      "${SOURCE} was refused with another sentence.\n  expected: ${expectation}\n  first error: ${first_error}\n\n${output}")
  endif()
  string(FIND "${source}" "// EXPECT: " position)
  math(EXPR position "${position} + 11")
  string(SUBSTRING "${source}" ${position} -1 source)
endwhile()

if(NOT count EQUAL expected_errors)
  fail("${SOURCE} gives ${count} errors, expected ${expected_errors}:\n${output}")
endif()
message(STATUS "refused as expected: ${first_error}")
