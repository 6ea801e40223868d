# SPDX-License-Identifier: MIT
# cmake -DCOUNTS=file -DBASELINE=file -P CompareInstantiations.cmake
#
# Passes if neither number of `KEY classes functions` in COUNTS (CountInstantiations.cmake) is above that of the line KEY in
# BASELINE by more than two hundredths.

file(READ "${COUNTS}" counted)
if(NOT counted MATCHES "^([^ ]+) ([0-9]+) ([0-9]+)\n$")
  message(FATAL_ERROR "${COUNTS} has no counts: ${counted}")
endif()
set(KEY ${CMAKE_MATCH_1})
set(Class ${CMAKE_MATCH_2})
set(Function ${CMAKE_MATCH_3})

file(STRINGS "${BASELINE}" line REGEX "^${KEY} ")
if(NOT line MATCHES "^${KEY} ([0-9]+) ([0-9]+)$")
  message(FATAL_ERROR "${BASELINE} has no line `${KEY} classes functions`")
endif()
math(EXPR most_classes "${CMAKE_MATCH_1} * 102 / 100")
math(EXPR most_functions "${CMAKE_MATCH_2} * 102 / 100")
message("${KEY}: ${Class} classes (baseline ${CMAKE_MATCH_1}), ${Function} functions (baseline ${CMAKE_MATCH_2})")
if(Class GREATER most_classes OR Function GREATER most_functions)
  message(FATAL_ERROR "more template instantiations than the baseline and two hundredths. If what was added is worth its "
    "time in every program that includes the library, write `${KEY} ${Class} ${Function}` into ${BASELINE}.")
endif()
