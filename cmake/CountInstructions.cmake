# SPDX-License-Identifier: MIT
# cmake -DPROGRAM=... -DCASE=... -DVALGRIND=... -DOBJDUMP=... -DALLOWED_MORE=n -P CountInstructions.cmake
#
# Counts the instructions of 1000 batches in tests/codegen/loops.cpp under callgrind, through the trainer and by hand.
# Passes if both print the same numbers, the trainer needs at most ALLOWED_MORE instructions a batch more, and no loop has
# an indirect call.

function(count how batches out_count out_text)
  execute_process(
    COMMAND "${VALGRIND}" --tool=callgrind --callgrind-out-file=/dev/null "${PROGRAM}" "${CASE}" "${how}" "${batches}"
    RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE report)
  if(NOT result EQUAL 0 OR NOT report MATCHES "Collected : ([0-9]+)")
    message(FATAL_ERROR "callgrind on ${PROGRAM} ${CASE} ${how} failed:\n${report}")
  endif()
  set(${out_count} ${CMAKE_MATCH_1} PARENT_SCOPE)
  set(${out_text} "${text}" PARENT_SCOPE)
endfunction()

foreach(how IN ITEMS trainer hand)
  count(${how} 1000 first text)
  count(${how} 2000 last ${how}_text)
  math(EXPR ${how} "${last} - ${first}")
endforeach()

if(NOT trainer_text STREQUAL hand_text)
  message(FATAL_ERROR "${CASE}: the trainer's numbers are not those of the loop by hand:\n${trainer_text}\n${hand_text}")
endif()
math(EXPR ratio "${trainer} * 1000 / ${hand}")
math(EXPR more "${trainer} - ${hand}")
message("${CASE}: ${trainer} instructions in 1000 batches, by hand ${hand}: ${ratio} thousandths, ${more} more")
math(EXPR allowed "${ALLOWED_MORE} * 1000")
if(more GREATER allowed)
  message(FATAL_ERROR "${CASE}: too many: at most ${allowed} more are allowed.")
endif()

execute_process(COMMAND "${OBJDUMP}" -d -C --no-show-raw-insn "${PROGRAM}" OUTPUT_VARIABLE listing RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "objdump failed on ${PROGRAM}")
endif()
# The functions that hold a loop: train<...> and train_by_hand<...>, from their head to the empty line after them.
string(REPLACE ";" "," listing "${listing}")
string(REGEX MATCHALL "<[^\n]*train[^\n]*>:\n[^<]*[^\n]*(\n [^\n]+)*" functions "${listing}")
list(LENGTH functions count_functions)
if(count_functions LESS 10)
  message(FATAL_ERROR "only ${count_functions} loops were found in ${PROGRAM}")
endif()
foreach(function IN LISTS functions)
  if(function MATCHES "call +\\*[^\n]*")
    message(FATAL_ERROR "an indirect call in a loop: ${CMAKE_MATCH_0}\n${function}")
  endif()
endforeach()
