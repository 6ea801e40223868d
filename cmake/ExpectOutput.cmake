# SPDX-License-Identifier: MIT
# cmake -DEXPECTED=<regex> -DFAILS=<bool> -P ExpectOutput.cmake -- program argument...
# Fails unless the program prints what is expected, and ends with 0, or with another code if it is meant to fail. (CTest's
# PASS_REGULAR_EXPRESSION looks at no exit code.)
set(command "")
set(is_command FALSE)
foreach(i RANGE 1 ${CMAKE_ARGC})
  if(is_command AND i LESS CMAKE_ARGC)
    list(APPEND command "${CMAKE_ARGV${i}}")
  elseif("${CMAKE_ARGV${i}}" STREQUAL "--")
    set(is_command TRUE)
  endif()
endforeach()

execute_process(COMMAND ${command} OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE code)
message("${output}")
if(NOT output MATCHES "${EXPECTED}")
  message(FATAL_ERROR "The output does not match: ${EXPECTED}")
endif()
if(FAILS AND (NOT code MATCHES "^[0-9]+$" OR code EQUAL 0))
  message(FATAL_ERROR "It should have refused, and ended with: ${code}")
elseif(NOT FAILS AND NOT code STREQUAL "0")
  message(FATAL_ERROR "It ended with: ${code}")
endif()
