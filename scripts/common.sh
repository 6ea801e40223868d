# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Shared by scripts/setup, scripts/demo and scripts/test.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
preset="${FULGURITE_PRESET:-default}"

say() { printf '%s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Compile jobs: one a processor, but two gigabytes of memory for each, as a file with <torch/torch.h> needs.
jobs_for_this_machine() {
  local by_processor by_memory
  by_processor="$(nproc)"
  by_memory="$(awk '/^MemAvailable:/ { print int($2 / 2097152) }' /proc/meminfo)"
  ((by_memory >= 1)) || by_memory=1
  echo $((by_processor < by_memory ? by_processor : by_memory))
}

# build target: set-up, configure, compile. Leaves the working directory at the repository's root.
build() {
  "$root/scripts/setup"
  cd "$root" || return
  cmake --preset "$preset"
  cmake --build --preset "$preset" --parallel "${FULGURITE_JOBS:-$(jobs_for_this_machine)}" --target "$1"
}
