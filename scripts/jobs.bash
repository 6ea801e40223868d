# SPDX-License-Identifier: MIT
# How many compilers fit: one a core, and 2 GB of memory each, which is what a LibTorch translation unit takes.
jobs_that_fit() {
  local memory_gb cores
  cores="$(nproc)"
  memory_gb="$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)"
  local jobs="${JOBS:-$((memory_gb / 2 < cores ? memory_gb / 2 : cores))}"
  echo "$((jobs > 0 ? jobs : 1))"
}
