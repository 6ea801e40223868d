# SPDX-License-Identifier: MIT
# cmake -DOUT=file.cpp -DTESTS=folder -DFILES=a|b -P JoinTests.cmake
#
# Writes a translation unit that holds the test FILES, each in a namespace of its own: names of one do not meet those of
# another. What they include comes first, at global scope, so that their own includes find it there already.

string(REPLACE "|" ";" FILES "${FILES}")
set(includes "")
set(bodies "")
foreach(file IN LISTS FILES)
  get_filename_component(folder "${TESTS}/${file}" DIRECTORY)
  file(STRINGS "${TESTS}/${file}" lines REGEX "^#include ")
  foreach(line IN LISTS lines)
    if(line MATCHES "\"([^\"]*)\"")
      set(included "${CMAKE_MATCH_1}")
      if(EXISTS "${folder}/${included}")
        set(line "#include \"${folder}/${included}\"")
      endif()
    endif()
    list(APPEND includes "${line}")
  endforeach()
  string(MAKE_C_IDENTIFIER "file_${file}" name)
  string(APPEND bodies "\nnamespace ${name} {\n#include \"${TESTS}/${file}\"\n}\n")
endforeach()
list(REMOVE_DUPLICATES includes)
list(JOIN includes "\n" includes)
file(WRITE "${OUT}" "${includes}\n${bodies}")
