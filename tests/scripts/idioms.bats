#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# All shell scripts of this repository: no pipe into a program that stops reading early, and nothing that shellcheck minds.
# shellcheck disable=SC2154

setup() { cd "$BATS_TEST_DIRNAME/../.." || return; }

# Every file outside of build folders that is a shell script by its first line or its name.
shell_scripts() {
  local file line
  while IFS= read -r file; do
    line=""
    case "$file" in
      *.sh | *.bash | *.bats) ;;
      *)
        IFS= read -r line < "$file" || true
        [[ "$line" =~ ^#!.*[/\ ](ba|da|k|z)?sh( |$) ]] || continue
        ;;
    esac
    printf '%s\n' "$file"
  done < <(find . \( -name build -o -name .deps -o -name .git -o -name .cache \) -prune -o -type f \
    \( -name '*.sh' -o -name '*.bash' -o -name '*.bats' -o ! -name '*.*' \) -print | LC_ALL=C sort)
}

# Programs behind a pipe that may end before their input does: under pipefail the writer's SIGPIPE is then an error, if the
# reader is fast enough.
early_reader='\|&?[[:space:]]*((command|env|[A-Z_]+=[^[:space:]]*)[[:space:]]+)*'
early_reader+='((e|f|z)?grep[[:space:]]([^|;&]*[[:space:]])?(-[a-zA-Z]*[qlLm]|--quiet|--silent|--max-count|--files-with)'
early_reader+='|head([[:space:]]|$)|read([[:space:]]|$)|true([[:space:]]|$)|:([[:space:]]|$)|cmp[[:space:]]|dd[[:space:]]'
early_reader+='|(g|m)?awk[[:space:]].*[^a-zA-Z_]exit([^a-zA-Z_]|$)'
early_reader+="|sed[[:space:]].*([0-9/\$;{}'\"[:space:]][qQ]([0-9;}'\"[:space:]]|\$)))"

# early_readers file: prints the lines that hold one, a pipe at a line's end or beginning joined with its neighbour.
early_readers() {
  local line joined="" number=0
  while IFS= read -r line || [[ -n "$line" ]]; do
    number=$((number + 1))
    if [[ "$line" =~ ^[[:space:]]*# ]]; then continue; fi
    if [[ "$line" =~ ^[[:space:]]*\|[^\|] || -n "$joined" ]]; then line="${joined:-$previous} $line"; fi
    joined=""
    if [[ "$line" =~ (\\|[^\|]\|)$ ]]; then
      joined="${line%\\}"
      continue
    fi
    if [[ "${line//||/  }" =~ $early_reader ]]; then printf '%s:%s: %s\n' "$1" "$number" "$line"; fi
    local previous="$line"
  done < "$1"
}

@test "the scripts are found" {
  found="$(shell_scripts)"
  for file in scripts/setup scripts/demo scripts/test scripts/common.sh scripts/try-fresh-root .ci/run benchmarks/run \
    benchmarks/peers/install tests/scripts/machine.bash tests/scripts/setup.bats; do
    [[ $'\n'"$found"$'\n' == *$'\n'"./$file"$'\n'* ]] || { echo "not found: $file" && return 1; }
  done
}

@test "no pipe has a reader that stops early" {
  while IFS= read -r file; do early_readers "$file"; done < <(shell_scripts) > "$BATS_TMPDIR/fulgurite-early-readers.$$"
  found="$(cat "$BATS_TMPDIR/fulgurite-early-readers.$$")"
  rm "$BATS_TMPDIR/fulgurite-early-readers.$$"
  echo "$found"
  [ -z "$found" ]
}

@test "the search for such pipes finds them, and nothing else" {
  sample="$(mktemp)"
  while IFS= read -r line; do
    printf '%b\n' "${line#* }" > "$sample"
    found="$(early_readers "$sample")"
    case "$line" in
      'bad '*) [ -n "$found" ] || { echo "not found: $line" && return 1; } ;;
      'good '*) [ -z "$found" ] || { echo "found: $line" && return 1; } ;;
    esac
  done < "$BATS_TEST_DIRNAME/pipes.txt"
  rm "$sample"
}

@test "shellcheck has nothing to say" {
  command -v shellcheck > /dev/null || skip "no shellcheck"
  mapfile -t files < <(shell_scripts)
  run shellcheck --external-sources --source-path=SCRIPTDIR "${files[@]}"
  echo "$output"
  [ "$status" -eq 0 ]
}
