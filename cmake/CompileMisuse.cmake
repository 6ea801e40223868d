# SPDX-License-Identifier: MIT
# cmake -DCOMMAND=compiler|argument|... -DSOURCE=... -DSAID=file -P CompileMisuse.cmake
#
# Writes the compiler's exit status and what it says of SOURCE to SAID, and to SAID.d what SOURCE includes, so that the
# build knows when to ask again. Whether that is what is expected is for the test (ExpectCompileError.cmake).

cmake_policy(VERSION 3.25)
set(ENV{LC_ALL} C)
string(REPLACE "|" ";" COMMAND "${COMMAND}")
get_filename_component(folder "${SAID}" DIRECTORY)
file(MAKE_DIRECTORY "${folder}")

list(GET COMMAND 0 compiler)
execute_process(COMMAND "${compiler}" --version OUTPUT_VARIABLE version)
if(version MATCHES "clang")
  set(no_caret -fno-caret-diagnostics)
else()
  set(no_caret -fno-diagnostics-show-caret)
endif()
execute_process(COMMAND ${COMMAND} -fsyntax-only -fno-diagnostics-color ${no_caret} "${SOURCE}"
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
# A compiler that crashed or was killed has said nothing about SOURCE: the next build asks again.
if(NOT result MATCHES "^[01]$" OR output MATCHES "internal compiler error|Killed signal")
  message(FATAL_ERROR "the compiler failed at ${SOURCE} (${result}):\n${output}")
endif()

# A pass of its own: g++ writes no dependencies of what it refuses. A header that is missing is one all the same (-MG).
execute_process(COMMAND ${COMMAND} -M -MG -MT "${SAID}" -MF "${SAID}.d" "${SOURCE}"
  RESULT_VARIABLE scanned ERROR_VARIABLE problem)
if(NOT scanned EQUAL 0)
  message(FATAL_ERROR "what ${SOURCE} includes cannot be found:\n${problem}")
endif()
file(WRITE "${SAID}" "exit status: ${result}\n${output}")
