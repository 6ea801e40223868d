# SPDX-License-Identifier: MIT
# cmake -DPROGRAM=... -DVALGRIND=... -DCOUNTS=file -DALLOWED=thousandths -P CompareInstructions.cmake
#
# Counts the instructions of the trainings in tests/codegen/torch/steps.cpp under callgrind, each by hand and through the
# trainer, in one process: only its functions `Steps<...>::by_hand` and `by_trainer` are counted, so LibTorch's start-up is
# not. Passes if no trainer needs more than ALLOWED thousandths of what its loop by hand does.

set(ENV{OMP_NUM_THREADS} 1)
# Kernels for every processor: the same instructions everywhere, and none that valgrind does not know.
set(ENV{ATEN_CPU_CAPABILITY} default)
execute_process(
  COMMAND "${VALGRIND}" --tool=callgrind "--callgrind-out-file=${COUNTS}" "--toggle-collect=*Steps<*>::by_*" "${PROGRAM}"
  RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE report)
if(NOT result EQUAL 0 OR NOT said MATCHES "([0-9]+) trainings")
  message(FATAL_ERROR "callgrind on ${PROGRAM} failed:\n${said}${report}")
endif()
set(trainings ${CMAKE_MATCH_1})

# Of a call, callgrind writes `cfn=(number) name`, `calls=...`, and a line that ends in what the call cost, all that it called
# included. A name is written where its number comes first, there or as `fn=(number) name`.
file(READ "${COUNTS}" counts)
string(REGEX MATCHALL "fn=\\([0-9]+\\) [^\n]*Steps<[^\n]*>::by_[^\n]*" names "${counts}")
set(compared 0)
set(too_many "")
foreach(how IN ITEMS hand trainer)
  foreach(line IN LISTS names)
    if(NOT line MATCHES "fn=\\(([0-9]+)\\) [^\n]*Steps<(.*)>::by_${how}")
      continue()
    endif()
    set(number ${CMAKE_MATCH_1})
    set(training "${CMAKE_MATCH_2}")
    if(NOT counts MATCHES "cfn=\\(${number}\\)[^\n]*\ncalls=1 [^\n]*\n[^\n]* ([0-9]+)\n")
      message(FATAL_ERROR "no call of ${line} in ${COUNTS}")
    endif()
    set(count ${CMAKE_MATCH_1})
    string(MAKE_C_IDENTIFIER "${training}" key)
    if(how STREQUAL "hand")
      set(hand_${key} ${count})
      continue()
    endif()
    math(EXPR ratio "${count} * 1000 / ${hand_${key}}")
    math(EXPR compared "${compared} + 1")
    message("${training}: by the trainer ${count} instructions, by hand ${hand_${key}}: ${ratio} thousandths")
    if(ratio GREATER ALLOWED)
      string(APPEND too_many "${training}: ${ratio} thousandths, and at most ${ALLOWED} are allowed.\n")
    endif()
  endforeach()
endforeach()
if(NOT compared EQUAL trainings)
  message(FATAL_ERROR "${compared} trainings were compared, and there are ${trainings}")
endif()
if(too_many)
  message(FATAL_ERROR "${too_many}")
endif()
