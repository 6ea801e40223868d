#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# scripts/setup on machines of stubs (machine.bash): each distribution, each kind of user, each thing that goes wrong.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2086,SC2154
load machine

teardown() { remove_machine; }

everything_for_demo="g++ cmake ninja-build libboost-dev librange-v3-dev libcli11-dev"
everything_for_test="$everything_for_demo libpng-dev nlohmann-json3-dev valgrind bats shellcheck"

# ------------------------------------------------------------------------------------------- distributions

@test "Debian 12, demo: packages and the wheel, nothing of the tests" {
  make_machine debian bookworm
  run_setup demo
  succeeds
  called "install --no-install-recommends $everything_for_demo python3-venv"
  not_called catch2
  not_called valgrind
  not_called backports
  has_wheel
  [ ! -e "$system/etc/apt/sources.list.d/bookworm-backports.list" ]
}

@test "Debian 12, test: Catch2 from the backports of the machine's own mirror" {
  make_machine debian bookworm
  run_setup test
  succeeds
  called "install --no-install-recommends $everything_for_test python3-venv"
  called "install --no-install-recommends -t bookworm-backports catch2"
  [ "$(cat "$system/etc/apt/sources.list.d/bookworm-backports.list")" = "deb http://mirror.example/debian bookworm-backports main" ]
  has_wheel
}

@test "Debian 13: everything from the distribution, LibTorch too" {
  make_machine debian trixie
  run_setup test
  succeeds
  called "install --no-install-recommends $everything_for_test catch2 libtorch-dev"
  not_called pip
  not_called backports
}

@test "Ubuntu 24.04: Catch2 from the distribution, LibTorch as a wheel" {
  make_machine ubuntu noble
  run_setup test
  succeeds
  called "install --no-install-recommends $everything_for_test catch2 python3-venv"
  has_wheel
}

@test "Ubuntu 22.04: what is too old is named" {
  make_machine ubuntu jammy
  run_setup demo
  refused "g++ 12 or later is needed (the compiler), and this distribution has 11.2.0-1"
  not_called " install "
}

@test "Ubuntu without universe: how to add it" {
  make_machine ubuntu noble
  cp "$machine/available" "$machine/all"
  while read -r package version; do
    if [ "$package" != libcli11-dev ]; then echo "$package $version"; fi
  done < "$machine/all" > "$machine/available"
  run_setup demo
  refused "apt knows no package libcli11-dev. Run: sudo add-apt-repository universe"
}

@test "another distribution: what to install, under Debian's names" {
  make_machine fedora ""
  run_setup demo
  refused "there is no apt-get here"
  says "cmake 3.25 or later  (configures the build)"
  says "python3-venv  (fetches LibTorch from PyPI)"
  [[ "$output" != *valgrind* ]]
}

@test "another distribution that has it all: the wheel" {
  make_machine fedora ""
  "$machine/bin/provide" $everything_for_demo python3 python3-venv
  run_setup demo
  succeeds
  has_wheel
}

@test "a Debian derivative without Catch2 3 is told so" {
  make_machine debian bookworm
  printf 'ID=raspbian\nVERSION_CODENAME=bookworm\n' > "$system/etc/os-release"
  run_setup test
  refused "this distribution has no Catch2 3 (its candidate: 2.13.10-1)"
}

# ------------------------------------------------------------------------------------------- purposes

@test "benchmarks: neither the demo's nor the tests' packages" {
  make_machine debian trixie
  run_setup benchmarks
  succeeds
  called "install --no-install-recommends g++ cmake ninja-build libboost-dev librange-v3-dev python3 libtorch-dev"
}

@test "no purpose is the purpose test" {
  make_machine debian trixie
  run_setup --dry-run
  succeeds
  says "for 'test'"
  says valgrind
}

@test "an unknown purpose is refused before anything is done" {
  make_machine debian trixie
  run_setup play
  refused "unknown argument: play"
  [ ! -s "$machine/calls" ]
}

@test "a second run installs nothing" {
  make_machine debian bookworm
  run_setup test
  succeeds
  : > "$machine/calls"
  run_setup test
  succeeds
  says "nothing to install"
  run_setup demo
  succeeds
  says "nothing to install"
  not_called apt-get
  not_called pip
}

@test "the tests after the demo bring only what the demo lacked" {
  make_machine debian bookworm
  run_setup demo
  : > "$machine/calls"
  run_setup test
  succeeds
  called "install --no-install-recommends libpng-dev nlohmann-json3-dev valgrind bats shellcheck"
  not_called pip
}

@test "a preset with clang brings clang" {
  make_machine debian trixie
  variables=(FULGURITE_PRESET=clang-debug)
  run_setup demo
  succeeds
  called "install --no-install-recommends clang cmake"
}

@test "--dry-run installs nothing" {
  make_machine debian bookworm
  run_setup demo --dry-run
  succeeds
  says "about 550 MB to download"
  not_called " install "
  [ ! -e "$repository/.deps" ]
}

@test "--dry-run of a user: by the lists that are there, or not at all" {
  make_machine debian trixie
  user_with_sudo free
  run_setup demo --dry-run
  refused "run the dry run as root"
  touch "$machine/lists"
  run_setup demo --dry-run
  succeeds
  says "this is by those that are here"
  says "libtorch-dev"
  not_called apt-get
}

@test "a GPU with a toolkit: the wheel with CUDA, also where the distribution has a LibTorch" {
  make_machine debian trixie
  mkdir -p "$system/dev"
  touch "$system/dev/nvidiactl"
  stub nvcc <<< 'echo "Cuda compilation tools, release 13.0, V13.0.48"'
  run_setup demo
  succeeds
  says "about 3000 MB to download"
  called "torch==2.11.0"
  not_called "--no-deps"
  [ "$(cat "$repository/.deps/complete")" = "torch 2.11.0 cuda" ]
  run_setup demo
  succeeds
  says "nothing to install"
}

@test "a GPU with another toolkit, or with --cpu: for CPUs" {
  make_machine debian bookworm
  mkdir -p "$system/dev"
  touch "$system/dev/nvidiactl"
  stub nvcc <<< 'echo "Cuda compilation tools, release 12.4, V12.4.99"'
  run_setup demo
  succeeds
  says "no CUDA 13 toolkit"
  has_wheel
  stub nvcc <<< 'echo "Cuda compilation tools, release 13.0, V13.0.48"'
  run_setup demo --cpu
  succeeds
  says "nothing to install"
  run_setup demo --cuda --dry-run
  succeeds
  says "about 3000 MB to download"
}

# ------------------------------------------------------------------------------------------- users

@test "sudo without a password; the proxy reaches apt-get" {
  make_machine debian bookworm
  user_with_sudo free
  variables=(http_proxy=http://proxy.example:3128)
  run_setup demo
  succeeds
  called "http_proxy=http://proxy.example:3128 apt-get"
  has_wheel
}

@test "sudo with a password, without a terminal: says what to do, and touches nothing" {
  make_machine debian bookworm
  user_with_sudo password
  run_setup demo
  refused "sudo asks for a password and there is no terminal"
  says "Run 'scripts/setup demo' once as root"
  not_called apt-get
  [ ! -e "$repository/.deps" ]
}

@test "sudo with a password, in a terminal" {
  command -v script > /dev/null || skip "no program script"
  make_machine debian bookworm
  user_with_sudo password
  in_terminal "$repository/scripts/setup" demo
  succeeds
  called "sudo -v"
  has_wheel
}

@test "sudo that refuses this user" {
  command -v script > /dev/null || skip "no program script"
  make_machine debian bookworm
  user_with_sudo refuses
  in_terminal "$repository/scripts/setup" demo
  refused "sudo does not let this user"
}

@test "neither root nor sudo" {
  make_machine debian bookworm
  echo 1000 > "$machine/uid"
  run_setup demo
  refused "this is not root and there is no sudo"
  says "(g++ cmake ninja-build libboost-dev librange-v3-dev libcli11-dev)"
}

@test "neither root nor sudo, and only Catch2 or the means to fetch LibTorch are missing: what is missing is named" {
  make_machine debian bookworm
  echo 1000 > "$machine/uid"
  "$machine/bin/provide" $everything_for_demo
  run_setup demo
  refused "packages have to be installed (python3-venv), but this is not root and there is no sudo"
  "$machine/bin/provide" $everything_for_test
  run_setup test
  refused "packages have to be installed (catch2), but this is not root and there is no sudo"
}

@test "neither root nor sudo, but only LibTorch is missing: the wheel needs no root" {
  make_machine debian trixie
  echo 1000 > "$machine/uid"
  "$machine/bin/provide" $everything_for_demo python3 python3-venv
  touch "$machine/lists"
  run_setup demo
  succeeds
  has_wheel
  not_called apt-get
}

@test "sudo with a password, without a terminal, but only LibTorch is missing: the wheel needs no root" {
  local suite
  for suite in bookworm trixie; do
    make_machine debian "$suite"
    user_with_sudo password
    "$machine/bin/provide" $everything_for_demo python3 python3-venv
    run_setup demo
    succeeds
    has_wheel
    not_called apt-get
    remove_machine
  done
}

@test "sudo that refuses this user, but only LibTorch is missing: the wheel, after sudo was asked once" {
  command -v script > /dev/null || skip "no program script"
  local lists
  for lists in "" lists; do
    make_machine debian trixie
    user_with_sudo refuses
    "$machine/bin/provide" $everything_for_demo python3 python3-venv
    if [[ -n "$lists" ]]; then touch "$machine/lists"; fi
    in_terminal "$repository/scripts/setup" demo
    succeeds
    says "sudo does not let this user, so LibTorch comes from PyPI"
    [ "$(grep -c "^sudo -v" "$machine/calls")" -eq 1 ]
    has_wheel
    not_called apt-get
    remove_machine
  done
}

@test "sudo with a password, in a terminal, and only LibTorch is missing: the distribution's, if it has one" {
  command -v script > /dev/null || skip "no program script"
  make_machine debian trixie
  user_with_sudo password
  "$machine/bin/provide" $everything_for_demo python3 python3-venv
  in_terminal "$repository/scripts/setup" demo
  succeeds
  called "sudo -v"
  called "libtorch-dev"
  [ ! -e "$repository/.deps" ]
}

# ------------------------------------------------------------------------------------------- what goes wrong

@test "a mirror that is down for a moment" {
  make_machine debian bookworm
  echo 1 > "$machine/mirror_fails"
  run_setup demo
  succeeds
  says "trying once more"
  has_wheel
}

@test "no network: apt-get's words, and nothing half done" {
  make_machine debian bookworm
  echo 99 > "$machine/mirror_fails"
  run_setup demo
  refused "the package lists could not be read (above): is there a network?"
  says "Could not resolve 'mirror.example'"
  not_called " install "
}

@test "lists that cannot be read anew, but are there: goes on" {
  make_machine debian bookworm
  touch "$machine/lists"
  echo 99 > "$machine/mirror_fails"
  run_setup demo
  succeeds
  says "going on with those that are here"
  has_wheel
}

@test "an installation that was stopped is repaired" {
  make_machine debian bookworm
  echo 1 > "$machine/install_fails"
  run_setup demo
  succeeds
  called "dpkg --configure -a"
  has_wheel
}

@test "an installation that fails twice" {
  make_machine debian bookworm
  echo 99 > "$machine/install_fails"
  run_setup demo
  refused "apt-get could not install it"
  not_called pip
}

@test "what was installed is shadowed by an older one" {
  make_machine debian trixie
  "$machine/bin/provide" old-cmake
  cat > "$machine/bin/provide-all" < "$machine/bin/provide"
  stub provide <<< 'echo "${*/cmake/old-cmake}" >> "$machine/calls"; bash "$machine/bin/provide-all" ${*/cmake/old-cmake}'
  run_setup demo
  refused "something was installed and is still not found"
  says "cmake 3.25 or later"
}

@test "a compiler that is too old counts as none" {
  make_machine debian trixie
  "$machine/bin/provide" old-g++
  run_setup demo
  succeeds
  called "install --no-install-recommends g++ cmake"
}

@test "no mirror gives the backports: the source is taken away again" {
  make_machine debian bookworm
  stub apt-cache-of-the-mirror < "$machine/bin/apt-cache"
  stub apt-cache <<< 'if [[ "$1" == madison ]]; then exit; fi; exec "$machine/bin/apt-cache-of-the-mirror" "$@"'
  run_setup test
  refused "no mirror gave bookworm-backports"
  [ ! -e "$system/etc/apt/sources.list.d/bookworm-backports.list" ]
  run_setup demo
  succeeds
}

@test "a mirror without backports: Debian's own" {
  make_machine debian bookworm
  echo http://mirror.example/debian > "$machine/mirror_lacks"
  run_setup test
  succeeds
  [ "$(cat "$system/etc/apt/sources.list.d/bookworm-backports.list")" = "deb http://deb.debian.org/debian bookworm-backports main" ]
}

@test "PyPI that does not answer once" {
  make_machine debian bookworm
  echo 1 > "$machine/index_fails"
  run_setup demo
  succeeds
  says "the download did not get through; trying once more"
  has_wheel
}

@test "PyPI that does not answer: an error, no mark, and the next run goes on" {
  make_machine debian bookworm
  echo 2 > "$machine/index_fails"
  run_setup demo
  refused "torch 2.11.0 could not be downloaded"
  [ ! -e "$repository/.deps/complete" ]
  run_setup demo
  succeeds
  has_wheel
}

@test "stopped in the middle of the download: run again" {
  make_machine debian bookworm
  touch "$machine/index_stops"
  run_setup demo
  [ "$status" -ne 0 ]
  [ ! -e "$repository/.deps/complete" ]
  run_setup demo
  succeeds
  has_wheel
}

@test "a half-written .deps without its mark is made anew" {
  make_machine debian bookworm
  mkdir -p "$repository/.deps/python/lib/python3.11/site-packages/torch/include/torch/csrc/api/include/torch"
  touch "$repository/.deps/python/lib/python3.11/site-packages/torch/include/torch/csrc/api/include/torch/torch.h"
  touch "$repository/.deps/python/left"
  run_setup demo
  succeeds
  has_wheel
  [ ! -e "$repository/.deps/python/left" ]
}

@test "a .deps with its mark and without its libraries is made anew" {
  make_machine debian bookworm
  run_setup demo
  succeeds
  rm "$repository"/.deps/python/lib/python3*/site-packages/torch/lib/libtorch_cpu.so
  : > "$machine/calls"
  run_setup demo
  succeeds
  called "pip"
  [ -e "$repository"/.deps/python/lib/python3.11/site-packages/torch/lib/libtorch_cpu.so ]
}

@test "a .deps that is no folder" {
  make_machine debian bookworm
  touch "$repository/.deps"
  run_setup demo
  refused ".deps cannot be written"
  not_called " install "
}

@test "a set-up that another one waits for" {
  make_machine debian bookworm
  mkdir -p "$repository/.deps"
  exec 9> "$repository/.deps/lock"
  flock 9
  (sleep 2) 9>&9 &
  exec 9>&-
  run_setup demo
  succeeds
  says "another set-up is at work here; waiting for it"
  has_wheel
}

@test "a full disk, before anything is downloaded" {
  make_machine debian bookworm
  echo 300 > "$machine/free"
  run_setup demo
  refused "the disk is too full: torch 2.11.0, with its download, needs 2200 MB"
  says "300 MB are free"
  not_called " install --no"
  not_called pip
}

@test "a disk with room for the wheel's folder and none for the packages" {
  make_machine debian trixie
  echo 300 > "$machine/free"
  run_setup demo
  refused "the disk is too full: what apt-get installs needs 1727 MB"
  not_called "--yes install"
}

@test "a disk that fills while pip downloads" {
  make_machine debian bookworm
  echo 9 > "$machine/index_fails"
  touch "$machine/fills"
  run_setup demo
  refused "the disk is too full: torch 2.11.0"
  [ ! -e "$repository/.deps/complete" ]
}

@test "what a stopped set-up left on the disk counts as room" {
  make_machine debian bookworm
  mkdir -p "$repository/.deps/download"
  head -c 40000000 /dev/urandom > "$repository/.deps/download/part"
  echo 2180 > "$machine/free"
  run_setup demo
  succeeds
}

@test "python3 without venv, and a distribution that does not bring it" {
  make_machine debian bookworm
  "$machine/bin/provide" python3
  stub provide-all < "$machine/bin/provide"
  stub provide <<< '"$machine/bin/provide-all" "${@/python3-venv/python3}"'
  run_setup demo
  refused "cannot make environments"
}

# ------------------------------------------------------------------------------------------- a LibTorch that is there

@test "Torch_DIR: a LibTorch that is new enough is taken" {
  make_machine debian bookworm
  "$machine/bin/provide" $everything_for_demo "torch=2.7.1=$machine/libtorch"
  variables=("Torch_DIR=$machine/libtorch/share/cmake/Torch")
  run_setup demo
  succeeds
  says "LibTorch 2.7.1 in $machine/libtorch"
  not_called apt-get
}

@test "Torch_DIR: a LibTorch that is too old is refused by its version" {
  make_machine debian bookworm
  "$machine/bin/provide" "torch=2.1.0=$machine/libtorch"
  variables=("Torch_DIR=$machine/libtorch/share/cmake/Torch")
  run_setup demo
  refused "Fulgurite needs LibTorch 2.6 or later; $machine/libtorch holds 2.1.0"
  not_called apt-get
}

@test "Torch_DIR that leads nowhere: said, and another is installed" {
  make_machine debian bookworm
  variables=("Torch_DIR=$machine/nowhere/share/cmake/Torch")
  run_setup demo
  succeeds
  says "Torch_DIR leads to no LibTorch"
  has_wheel
}

@test "a system LibTorch that is too old is passed over" {
  make_machine debian bookworm
  "$machine/bin/provide" "torch=1.13.1=$system/usr"
  run_setup demo
  succeeds
  has_wheel
}

# ------------------------------------------------------------------------------------------- pipes

@test "a fast grep, and an apt-cache that writes slowly" {
  make_machine debian bookworm
  touch "$machine/slow"
  echo fast > "$machine/grep"
  run_setup test
  succeeds
  called "install --no-install-recommends -t bookworm-backports catch2"
}

@test "a slow grep, and an apt-cache that writes at once" {
  make_machine debian bookworm
  echo slow > "$machine/grep"
  run_setup test
  succeeds
  called "install --no-install-recommends -t bookworm-backports catch2"
}
