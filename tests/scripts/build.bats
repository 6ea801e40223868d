#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# scripts/demo, scripts/test, .ci/run and benchmarks/: what they configure, build and run, on a machine of stubs.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
load machine

setup() {
  make_machine fedora ""
  "$machine/bin/provide" g++ cmake ninja-build libboost-dev librange-v3-dev libcli11-dev libpng-dev nlohmann-json3-dev valgrind \
    bats shellcheck catch2 "torch=2.7.1=$machine/libtorch"
  variables=("Torch_DIR=$machine/libtorch/share/cmake/Torch" FULGURITE_JOBS=3)
  stub cmake <<'STUB'
echo "cmake $*" >> "$machine/calls"
case "$1" in
  --version) echo "cmake version 3.25.1" ;;
  --build)
    mkdir -p build/default/examples
    printf '#!%s\necho "trained in $PWD with $*"\n' "$BASH" > build/default/examples/digits
    chmod +x build/default/examples/digits
    ;;
  *)
    if [[ -e "$machine/configure_fails" && "$*" != *--fresh* || -e "$machine/configure_always_fails" ]]; then exit 1; fi
    mkdir -p build/default
    touch build/default/build.ninja
    ;;
esac
STUB
  stub ctest <<< 'echo "ctest $*" >> "$machine/calls"'
}
teardown() { remove_machine; }

only_demo="--fresh --preset default -DFULGURITE_BUILD_TESTS=OFF -DFULGURITE_BUILD_EXAMPLES=OFF -DFULGURITE_BUILD_DEMO=ON -DFULGURITE_BUILD_BENCHMARKS=OFF"
all="-DFULGURITE_BUILD_TESTS=ON -DFULGURITE_BUILD_EXAMPLES=ON -DFULGURITE_BUILD_DEMO=ON -DFULGURITE_BUILD_BENCHMARKS=ON"

@test "the demo configures itself alone, and runs where it was called" {
  rm -rf "$system/usr/include/catch2" "$system/usr/include/nlohmann" "$system/usr/include/png.h" "$machine/bin/valgrind"
  mkdir "$machine/elsewhere"
  cd "$machine/elsewhere"
  run in_machine "$repository/scripts/demo" --epochs 3
  succeeds
  called "cmake $only_demo"
  called "cmake --build --preset default --parallel 3 --target digits"
  says "trained in $machine/elsewhere with --epochs 3"
}

@test "the tests configure everything, and hand their arguments to CTest" {
  run in_machine "$repository/scripts/test" -R clipping
  succeeds
  called "$all"
  called "ctest --preset default --parallel 3"
  called "-R clipping"
}

@test "continuous integration runs the tests" {
  run in_machine "$repository/.ci/run"
  succeeds
  called "ctest --preset default"
}

@test "the demo after the tests takes nothing away, and the tests after the demo switch everything on" {
  run in_machine "$repository/scripts/demo"
  run in_machine "$repository/scripts/test"
  succeeds
  called "cmake --preset default $all"
  : > "$machine/calls"
  run in_machine "$repository/scripts/demo"
  succeeds
  called "cmake --preset default -DFULGURITE_BUILD_DEMO=ON"
  not_called "=OFF"
}

@test "a build folder that cannot be configured any more is configured anew" {
  mkdir -p "$repository/build/default"
  touch "$repository/build/default/build.ninja" "$machine/configure_fails"
  run in_machine "$repository/scripts/demo"
  succeeds
  says "configuring it anew, for demo only"
  called "cmake $only_demo"
}

@test "a configuration that fails ends the command" {
  touch "$machine/configure_always_fails"
  run in_machine "$repository/scripts/demo"
  [ "$status" -ne 0 ]
  not_called "--build"
}

@test "nothing is configured after a set-up that failed" {
  rm "$machine/bin/ninja"
  run in_machine "$repository/scripts/demo"
  refused "there is no apt-get here"
  not_called "--preset"
}

@test "--help does nothing else" {
  for script in scripts/setup scripts/demo scripts/test scripts/try-fresh-root benchmarks/run benchmarks/peers/install; do
    run in_machine "$repository/$script" --help
    succeeds
    says "usage: $script"
  done
  [ ! -s "$machine/calls" ]
}

@test "benchmarks/run refuses unknown arguments before it sets anything up" {
  run in_machine "$repository/benchmarks/run" --fast
  refused "unknown argument: --fast"
  run in_machine "$repository/benchmarks/run" --note
  refused "--note needs a sentence"
  [ ! -s "$machine/calls" ]
}

# ------------------------------------------------------------------------------------------- the peers in Python

with_python() {
  "$machine/bin/provide" python3 python3-venv
  stub pip-of-the-environment <<'STUB'
echo "pip $*" >> "$machine/calls"
[[ ! -e "$machine/index_fails" ]] || exit 1
ln -sf "$machine/bin/env-python" "$(dirname "$0")/python"
STUB
  stub env-python <<< 'echo "imports $*" >> "$machine/calls"'
}

@test "the peers: installed once" {
  with_python
  run in_machine "$repository/benchmarks/peers/install"
  succeeds
  called "imports -c import jax, lightning, optax, torch"
  run in_machine "$repository/benchmarks/peers/install"
  succeeds
  says "nothing to install"
}

@test "the peers: no network, and the next run goes on" {
  with_python
  touch "$machine/index_fails"
  run in_machine "$repository/benchmarks/peers/install"
  refused "the peers could not be installed"
  rm "$machine/index_fails"
  run in_machine "$repository/benchmarks/peers/install"
  succeeds
  says "Peers: done"
}

@test "the peers: no venv, and a disk that is too full" {
  "$machine/bin/provide" python3
  run in_machine "$repository/benchmarks/peers/install"
  refused "Python's venv is missing"
  with_python
  echo 500 > "$machine/free"
  run in_machine "$repository/benchmarks/peers/install"
  refused "the disk is too full"
}
