# SPDX-License-Identifier: MIT
# For scripts that call a compiler: what they were given in SYSTEM_INCLUDES and DEFINITIONS (a|b), appended to `arguments`.

string(REPLACE "|" ";" SYSTEM_INCLUDES "${SYSTEM_INCLUDES}")
string(REPLACE "|" ";" DEFINITIONS "${DEFINITIONS}")
foreach(dir IN LISTS SYSTEM_INCLUDES)
  if(NOT dir STREQUAL "/usr/include")  # searched anyway; moved to the front it breaks #include_next
    list(APPEND arguments -isystem "${dir}")
  endif()
endforeach()
foreach(definition IN LISTS DEFINITIONS)
  list(APPEND arguments "-D${definition}")
endforeach()
