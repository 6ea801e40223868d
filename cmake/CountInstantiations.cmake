# SPDX-License-Identifier: MIT
# cmake -DCOMPILER=... -DKEY=name -DSOURCE=... -DCOUNTS=file -DSYSTEM_INCLUDES=c -DDEFINITIONS=d -P CountInstantiations.cmake
#
# Counts the template instantiations that SOURCE makes of ours, Hana's and range-v3's, or of others with our types, and writes
# `KEY classes functions` to COUNTS, and to COUNTS.d what SOURCE includes. clang tells each in its trace. g++ lists classes; of
# functions those count that have code.

get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}" DIRECTORY)
set(arguments -std=c++20 -O0 -c "-I${root}/include" -MD -MF "${COUNTS}.d" -MT "${COUNTS}")
include("${CMAKE_CURRENT_LIST_DIR}/CompilerArguments.cmake")

function(run command out)
  execute_process(COMMAND sh -c "${command}" RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE said
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT result LESS 2)  # grep's 1: nothing found
    message(FATAL_ERROR "failed: ${command}\n${said}")
  endif()
  set(${out} "${said}" PARENT_SCOPE)
endfunction()

set(FOLDER "${COUNTS}.made")
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")
set(ours "fulgurite::|boost::hana::|[^:_[:alnum:]]ranges::")
if(KEY MATCHES "^clang")
  list(APPEND arguments -ftime-trace -ftime-trace-granularity=0)
else()
  list(APPEND arguments "-fdump-lang-class=${FOLDER}/classes")
endif()
execute_process(COMMAND "${COMPILER}" ${arguments} "${SOURCE}" -o "${FOLDER}/out.o"
  RESULT_VARIABLE result ERROR_VARIABLE report)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} does not compile:\n${report}")
endif()
if(KEY MATCHES "^clang")
  set(events "grep -oE '\"name\":\"Instantiate@\",\"args\":\\{\"detail\":\"[^\"]*' '${FOLDER}/out.json' | grep -cE '${ours}'")
  foreach(kind IN ITEMS Class Function)
    string(REPLACE "@" "${kind}" command "${events}")
    run("${command}" ${kind})
  endforeach()
else()
  run("grep -E '^Class .*<.*>' '${FOLDER}/classes' | grep -cE '${ours}'" Class)
  run("nm -C '${FOLDER}/out.o' | grep -E ' [Ww] .*<.*>' | grep -cE '${ours}'" Function)
endif()
file(REMOVE_RECURSE "${FOLDER}")
file(WRITE "${COUNTS}" "${KEY} ${Class} ${Function}\n")
