#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# scripts/try-fresh-root with stubs for what makes and enters a root: its arguments, its count, and that nothing is left.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
load machine

setup() {
  make_machine debian bookworm
  command -v git > /dev/null || skip "no git, which the script needs"
  local tool
  for tool in git tar realpath sed; do ln -s "$(command -v "$tool")" "$machine/tools/$tool"; done
  git -C "$repository" init --quiet
  git -C "$repository" add .
  git -C "$repository" -c user.name=tests -c user.email=tests@localhost commit --quiet --message first
  mkdir "$machine/temporary"
  variables=("TMPDIR=$machine/temporary")
  stub debootstrap <<'STUB'
echo "debootstrap $*" >> "$machine/calls"
if [[ -e "$machine/debootstrap_fails" ]]; then echo "E: Couldn't download packages"; exit 1; fi
for argument in "$@"; do
  if [[ "$argument" == */root ]]; then mkdir -p "$argument"/{etc/apt,root,var/cache/apt/archives}; fi
done
STUB
  # The line for `bash -c` inside, then its arguments: the new root and what is run there.
  stub unshare <<'STUB'
while [[ "$1" != inside && "$1" != debootstrap ]]; do shift; done
if [[ "$1" == debootstrap ]]; then exec "$@"; fi
folder="$2"
[[ -x "$folder/root/fulgurite/scripts/setup" && ! -e "$folder/root/fulgurite/left" ]] || exit 99
touch "$folder/root/fulgurite/left"
echo "ran $*" >> "$machine/calls"
if [[ -e "$machine/hangs" ]]; then echo "$PPID" > "$machine/hanging"; sleep 60 & wait $!; fi
if [[ -e "$machine/command_fails" ]]; then exit "$(cat "$machine/command_fails")"; fi
STUB
}
teardown() { remove_machine; }

try() { run in_machine "$repository/scripts/try-fresh-root" "$@"; }
nothing_is_left() { [ -z "$(ls -A "$machine/temporary")" ]; }

@test "the demo's set-up, if nothing else is asked for" {
  try trixie
  succeeds
  called "--components=main trixie"
  called "http://mirror.example/debian"
  called "scripts/setup demo"
  says "trixie: 1 of 1 went well"
  nothing_is_left
}

@test "each of several runs has a root of its own" {
  try --times 3 bookworm scripts/setup test
  succeeds
  says "bookworm: 3 of 3 went well"
  [ "$(grep -c ^debootstrap "$machine/calls")" -eq 1 ]
  [ "$(grep -c ^ran "$machine/calls")" -eq 3 ]
  nothing_is_left
}

@test "a command that fails is counted, and the others go on" {
  echo 1 > "$machine/command_fails"
  try --times 2 bookworm false
  [ "$status" -ne 0 ]
  says "run 2 of 2 FAILED (exit status 1)"
  says "bookworm: 0 of 2 went well"
  nothing_is_left
}

@test "a command that a signal ended is one that failed" {
  echo 139 > "$machine/command_fails" # as the shell says it
  try --times 2 bookworm crash
  [ "$status" -ne 0 ]
  says "run 2 of 2 FAILED (exit status 139)"
  says "bookworm: 0 of 2 went well"
  nothing_is_left
  try --keep bookworm crash
  says "what it left is in $machine/temporary/"
}

@test "a base is made once and taken afterwards" {
  try --base "$machine/base.tar" bookworm
  succeeds
  [ -e "$machine/base.tar" ]
  : > "$machine/calls"
  try --base "$machine/base.tar" bookworm
  succeeds
  not_called debootstrap
}

@test "Ubuntu comes from Ubuntu, with universe" {
  try noble
  succeeds
  called "--components=main,universe noble"
  called "http://archive.ubuntu.com/ubuntu"
}

@test "--mirror" {
  try --mirror http://other.example/debian trixie
  succeeds
  called "http://other.example/debian"
}

@test "proxies and pip's settings go along, with the files that they name" {
  mkdir -p "$machine/temporary"
  variables+=(https_proxy=http://proxy.example:3128 PIP_INDEX_URL=http://index.example SECRET=word)
  try trixie
  succeeds
  called "https_proxy=http://proxy.example:3128"
  called "PIP_INDEX_URL=http://index.example"
  not_called SECRET
}

@test "--keep leaves the folder of a failure" {
  echo 1 > "$machine/command_fails"
  try --keep bookworm false
  [ "$status" -ne 0 ]
  folders=("$machine"/temporary/fulgurite-bookworm.*)
  [ -e "${folders[0]}/root/root/fulgurite/left" ]
}

@test "debootstrap's words when it fails" {
  touch "$machine/debootstrap_fails"
  try bookworm
  refused "debootstrap could not make bookworm"
  says "E: Couldn't download packages"
  nothing_is_left
}

@test "stopped by a signal: nothing is left" {
  touch "$machine/hangs"
  in_machine "$repository/scripts/try-fresh-root" bookworm > "$machine/output" &
  pid=$!
  for _ in $(seq 300); do
    if [ -s "$machine/hanging" ]; then break; fi
    sleep 0.1
  done
  kill -TERM "$(cat "$machine/hanging")"
  status=0
  wait $pid || status=$?
  [ "$status" -eq 143 ]
  nothing_is_left
}

@test "what is missing is named before anything is made" {
  echo 1000 > "$machine/uid"
  try bookworm
  refused "run this with sudo"
  echo 0 > "$machine/uid"
  rm "$machine/bin/debootstrap"
  try bookworm
  refused "debootstrap is missing; on Debian and Ubuntu: apt-get install debootstrap"
  try
  refused "which suite?"
  try --times 0 bookworm
  refused "--times: '0' is not a number of runs"
  try --base
  refused "--base needs a value"
  try --quick bookworm
  refused "unknown option: --quick"
  nothing_is_left
}
