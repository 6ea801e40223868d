# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Shared by the scripts here and in benchmarks/.
#
# No pipe may have a reader that stops early (`grep -q`, `head`, an `exit` in awk): under pipefail the writer's SIGPIPE is
# an error, by chance. Output is read into a variable and matched by bash; tests/scripts/idioms.bats looks for the others.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
preset="${FULGURITE_PRESET:-default}"
system="${FULGURITE_SYSTEM_ROOT:-}" # the tests give the scripts a system of their own
# The distribution's Python; another one, such as pyenv's, only where there is none.
python="$system/usr/bin/python3"
if [[ ! -x "$python" ]]; then python="$(command -v python3)" || python="$system/usr/bin/python3"; fi

say() { printf '%s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

at_least() { sort --check=quiet --version-sort <<< "$1"$'\n'"$2"; } # at_least wanted found

# free_megabytes path: prints what is free where the path is, or will be; fails if the system does not tell.
free_megabytes() {
  local path="$1" table
  while [[ ! -e "$path" && "$path" == */* ]]; do path="${path%/*}"; done
  table="$(df --portability --block-size=1M "${path:-/}" 2> /dev/null)" || return
  [[ "$table" =~ ([0-9]+)\ +[0-9]+% ]] && say "${BASH_REMATCH[1]}"
}

# require_space path megabytes purpose
require_space() {
  local free
  free="$(free_megabytes "$1")" || return 0
  ((free >= $2)) || fail "the disk is too full: $3 needs $2 MB at ${1:-/}, and $free MB are free. Make room, then run this again."
}

# Compile jobs: one per processor, but two gigabytes of memory for each, as a file with <torch/torch.h> needs.
jobs_for_this_machine() {
  local by_processor by_memory
  by_processor="$(nproc)"
  by_memory="$(awk '/^MemAvailable:/ { print int($2 / 2097152) }' /proc/meminfo)"
  ((by_memory >= 1)) || by_memory=1
  echo $((by_processor < by_memory ? by_processor : by_memory))
}

# build purpose target: set-up, configure, compile, for one of the purposes of scripts/setup. Leaves the working directory
# at the repository's root.
build() {
  local purpose="$1" target="$2" folder="$root/build/$preset" jobs part parts=() only=() more=()
  "$root/scripts/setup" "$purpose"
  case "$purpose" in
    demo) parts=(DEMO) ;;
    benchmarks) parts=(BENCHMARKS) ;;
    *) parts=(TESTS EXAMPLES DEMO BENCHMARKS) ;;
  esac
  for part in TESTS EXAMPLES DEMO BENCHMARKS; do
    if [[ " ${parts[*]} " == *" $part "* ]]; then
      only+=("-DFULGURITE_BUILD_$part=ON")
      more+=("-DFULGURITE_BUILD_$part=ON")
    else
      only+=("-DFULGURITE_BUILD_$part=OFF")
    fi
  done
  cd "$root" || return
  if [[ -e "$folder/build.ninja" ]]; then
    # What an earlier configuration switched on stays, unless this machine no longer has what it needs.
    cmake --preset "$preset" "${more[@]}" || {
      say "Build: build/$preset cannot be configured as it was; configuring it anew, for $purpose only."
      cmake --fresh --preset "$preset" "${only[@]}"
    }
  else
    cmake --fresh --preset "$preset" "${only[@]}"
  fi
  jobs="${FULGURITE_JOBS:-$(jobs_for_this_machine)}"
  say "Build: compiling in build/$preset ($jobs at a time); [n/m] is file n of m."
  cmake --build --preset "$preset" --parallel "$jobs" --target "$target"
}
