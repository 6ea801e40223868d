# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016,SC2154
# A machine of stubs, for the tests of the scripts: a system folder, a repository with our scripts alone, and a PATH that
# reaches nothing else. What the stubs are asked is in $machine/calls; what they answer is in files beside it:
#
#   uid             who calls                         sudo            free, password, refuses (no file: there is none)
#   mirror_fails    this many updates fail            install_fails   this many installations fail
#   index_fails     this many downloads of pip fail   index_stops     pip is killed in the middle of a download
#   available       packages and versions             slow            apt-cache writes slowly, more than a pipe holds
#   free            megabytes on the disk             grep            fast or slow

make_machine() { # make_machine id codename
  source_root="$(cd "$BATS_TEST_DIRNAME/../.." && pwd)"
  machine="$(mktemp -d "${BATS_TMPDIR:-/tmp}/fulgurite-scripts.XXXXXX")"
  repository="$machine/repository"
  system="$machine/system"
  variables=()
  mkdir -p "$repository" "$system/etc/apt/sources.list.d" "$system/usr/include" "$system/usr/bin" "$machine/bin" "$machine/tools"
  mkdir -p "$repository/benchmarks/peers"
  cp -r "$source_root/scripts" "$source_root/.ci" "$repository"
  cp "$source_root/benchmarks/run" "$repository/benchmarks"
  cp "$source_root/benchmarks/peers/install" "$repository/benchmarks/peers"
  printf 'ID=%s\nVERSION_CODENAME=%s\n' "$1" "$2" > "$system/etc/os-release"
  local tool
  for tool in awk bash cat chmod cp dirname du env flock kill ln mkdir mktemp mv nproc rm sleep sort sync tee touch tail; do
    ln -s "$(command -v "$tool")" "$machine/tools/$tool"
  done
  echo 0 > "$machine/uid"
  echo 50000 > "$machine/free"
  : > "$machine/calls"
  write_stubs
  if [[ "$1" == debian || "$1" == ubuntu ]]; then write_apt "$1" "$2"; fi
  case "$2" in
    bookworm) available "cmake 3.25.1-1" "g++ 4:12.2.0-3" "clang 1:14.0-55" "catch2 2.13.10-1" "libtorch-dev 1.13.1+dfsg-4" ;;
    trixie) available "cmake 3.31.6-2" "g++ 4:14.2.0-1" "clang 1:19.0-63" "catch2 3.7.1-0.6" "libtorch-dev 2.6.0+dfsg-7" ;;
    noble) available "cmake 3.28.3-1" "g++ 4:13.2.0-7" "clang 1:18.0-59" "catch2 3.4.0-1" ;;
    jammy) available "cmake 3.22.1-1" "g++ 4:11.2.0-1" "catch2 2.13.8-1" ;;
  esac
}

remove_machine() { rm -rf "$machine"; }

available() {
  printf '%s\n' "$@" >> "$machine/available"
  printf '%s\n' "ninja-build 1.11.1" "libboost-dev 1.83.0" "librange-v3-dev 0.12.0" "libcli11-dev 2.3.2" "libpng-dev 1.6.39" \
    "nlohmann-json3-dev 3.11.2" "valgrind 1:3.19.0" "bats 1.8.2" "shellcheck 0.9.0" "python3-venv 3.11.2" "python3 3.11.2" \
    "libclang-rt-dev 1:14" >> "$machine/available"
}

stub() { # stub name: the program from standard input
  { printf '#!%s\nmachine=%q\nsystem=%q\n' "$(command -v bash)" "$machine" "$system" && cat; } > "$machine/bin/$1"
  chmod +x "$machine/bin/$1"
}

write_stubs() {
  stub id <<< 'cat "$machine/uid"'
  stub df <<< 'printf "Filesystem 1048576-blocks Used Available Capacity Mounted on\n/dev/stub 99999 1 %s 50%% /\n" "$(cat "$machine/free")"'
  stub grep <<'STUB'
if [[ -e "$machine/grep" && "$(cat "$machine/grep")" == fast ]]; then exit 0; fi
sleep 0.3
cat > /dev/null
STUB
  # What `apt-get install` and pip leave behind.
  stub provide <<'STUB'
program() { printf '#!%s\n%s\n' "$BASH" "$2" > "$machine/bin/$1" && chmod +x "$machine/bin/$1"; }
header() { mkdir -p "$system/usr/include/$(dirname "$1")" && touch "$system/usr/include/$1"; }
torch() {
  mkdir -p "$1/include/torch/csrc/api/include/torch" "$1/lib"
  touch "$1/include/torch/csrc/api/include/torch/torch.h" "$1/lib/libtorch_cpu.so" "$1/lib/libc10.so"
  printf '#define TORCH_VERSION_MAJOR %s\n#define TORCH_VERSION_MINOR %s\n#define TORCH_VERSION_PATCH %s\n' ${2//./ } \
    > "$1/include/torch/csrc/api/include/torch/version.h"
}
for package in "$@"; do
  case "$package" in
    g++) program c++ 'echo "#define __GNUC__ 12"' && program g++ 'echo "#define __GNUC__ 12"' ;;
    old-g++) program c++ 'echo "#define __GNUC__ 9"' ;;
    clang) program clang++ 'echo "#define __clang_major__ 14"' ;;
    cmake) program cmake 'echo "cmake version 3.25.1"' ;;
    old-cmake) program cmake 'echo "cmake version 3.10.2"' ;;
    ninja-build) program ninja : ;;
    libboost-dev) header boost/hana.hpp ;;
    librange-v3-dev) header range/v3/version.hpp ;;
    libcli11-dev) header CLI/CLI.hpp ;;
    libpng-dev) header png.h ;;
    nlohmann-json3-dev) header nlohmann/json.hpp ;;
    valgrind | bats | shellcheck) program "$package" : ;;
    catch2) header catch2/catch_test_macros.hpp ;;
    python3) ln -sf "$machine/bin/system-python3" "$system/usr/bin/python3" && ln -sf system-python3 "$machine/bin/python3" ;;
    python3-venv) touch "$machine/venv" && ln -sf "$machine/bin/system-python3" "$system/usr/bin/python3" ;;
    libtorch-dev) torch "$system/usr" 2.6.0 ;;
    torch=*) IFS== read -r _ version folder <<< "$package" && torch "$folder" "$version" ;;
  esac
done
STUB
  stub system-python3 <<'STUB'
echo "python3 $*" >> "$machine/calls"
case "$1" in
  -c) [[ -e "$machine/venv" ]] ;;
  -m)
    [[ -e "$machine/venv" ]] || exit 1
    rm -rf "$4"
    mkdir -p "$4/bin"
    cp "$machine/bin/pip-of-the-environment" "$4/bin/pip"
    ;;
esac
STUB
  stub pip-of-the-environment <<'STUB'
echo "pip $*" >> "$machine/calls"
environment="$(cd "$(dirname "$0")/.." && pwd)"
while [[ "$1" != download && "$1" != install ]]; do shift; done
if [[ "$1" == download ]]; then
  if [[ -e "$machine/index_stops" ]]; then
    rm "$machine/index_stops"
    kill -KILL "$PPID"
    exit 1
  fi
  fails=0
  if [[ -e "$machine/index_fails" ]]; then fails="$(cat "$machine/index_fails")"; fi
  if ((fails > 0)); then
    echo $((fails - 1)) > "$machine/index_fails"
    if [[ -e "$machine/fills" ]]; then echo 3 > "$machine/free"; fi
    echo "ERROR: Could not find a version that satisfies the requirement torch" >&2
    exit 1
  fi
else
  provide "torch=2.11.0=$environment/lib/python3.11/site-packages/torch"
fi
STUB
}

write_apt() { # write_apt id codename
  stub apt-get <<'STUB'
echo "apt-get $*" >> "$machine/calls"
count() { # count file: takes one from the number in the file, and succeeds if it was above zero
  local left=0
  if [[ -e "$machine/$1" ]]; then left="$(cat "$machine/$1")"; fi
  echo $((left > 0 ? left - 1 : 0)) > "$machine/$1"
  ((left > 0))
}
if [[ "$(cat "$machine/uid")" != 0 && -z "${UNDER_SUDO:-}" ]]; then
  echo "E: Could not open lock file - open (13: Permission denied)" >&2
  exit 100
fi
action=""
no=false
names=()
while (($#)); do
  case "$1" in
    -o | -t) shift ;;
    --assume-no) no=true ;;
    -*) ;;
    update | install) action="$1" ;;
    *) names+=("$1") ;;
  esac
  shift
done
if [[ "$action" == update ]]; then
  if count mirror_fails; then
    echo "E: Failed to fetch http://mirror.example/InRelease  Could not resolve 'mirror.example'" >&2
    exit 100
  fi
  touch "$machine/lists"
elif $no; then
  printf '0 upgraded, %s newly installed, 0 to remove.\nNeed to get 107 MB of archives.\nAfter this operation, 1,518 MB of additional disk space will be used.\n' "${#names[@]}"
  exit 1
elif ((${#names[@]})); then
  if count install_fails; then
    echo "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem." >&2
    exit 100
  fi
  provide "${names[@]}"
fi
STUB
  stub apt-cache <<STUB
id=$1
codename=$2
STUB
  cat >> "$machine/bin/apt-cache" <<'STUB'
chatter() { # more than a pipe holds, and slowly
  [[ -e "$machine/slow" ]] || return 0
  local line
  for line in 1 2 3; do
    sleep 0.1
    printf '%070000d\n' 0
  done
}
action="$1"
shift
if [[ "$action" == madison ]]; then
  shopt -s nullglob
  for file in "$system/etc/apt/sources.list.d/"*-backports.list; do
    read -r _ mirror suite _ < "$file"
    if [[ ! -e "$machine/mirror_lacks" || "$mirror" != "$(cat "$machine/mirror_lacks")" ]]; then
      echo "    catch2 | 3.4.0-1~bpo12+1 | $mirror $suite/main amd64 Packages"
    fi
  done
  chatter
  exit
fi
if ((! $#)); then
  echo "Package files:"
  echo " 100 /var/lib/dpkg/status"
  echo " 500 http://mirror.example/$id-security $codename-security/main amd64 Packages"
  echo " 500 http://mirror.example/$id $codename/main amd64 Packages"
  chatter
  exit
fi
for package in "$@"; do
  candidate=""
  while read -r name version; do
    if [[ "$name" == "$package" && -e "$machine/lists" ]]; then candidate="$version"; fi
  done < "$machine/available"
  if [[ -n "$candidate" ]]; then printf '%s:\n  Installed: (none)\n  Candidate: %s\n  Version table:\n' "$package" "$candidate"; fi
done
chatter
STUB
  stub dpkg <<< 'echo "dpkg $*" >> "$machine/calls"'
}

# A user that may do what the mode says: free, password, refuses.
user_with_sudo() {
  echo 1000 > "$machine/uid"
  echo "$1" > "$machine/sudo"
  stub sudo <<'STUB'
echo "sudo $*" >> "$machine/calls"
mode="$(cat "$machine/sudo")"
case "$1" in
  -n) [[ "$mode" == free || -e "$machine/password_given" ]] ;;
  -v) [[ "$mode" != refuses ]] && touch "$machine/password_given" ;;
  *)
    [[ "$mode" == free || -e "$machine/password_given" ]] || exit 1
    unset http_proxy https_proxy
    UNDER_SUDO=1 exec "$@"
    ;;
esac
STUB
}

in_machine() { # in_machine command...: with nothing of this machine's environment
  env -i PATH="$machine/bin:$machine/tools" HOME="$machine" TMPDIR="$machine" FULGURITE_SYSTEM_ROOT="$system" \
    FULGURITE_RETRY_SECONDS=0 "${variables[@]}" "$@" < /dev/null
}
run_setup() { run in_machine "$repository/scripts/setup" "$@"; }

# in_terminal command...: where standard input and output are a terminal. The command's words have no spaces.
in_terminal() {
  run env -i PATH="$machine/bin:$machine/tools" HOME="$machine" TMPDIR="$machine" FULGURITE_SYSTEM_ROOT="$system" \
    FULGURITE_RETRY_SECONDS=0 SHELL="$(command -v bash)" "${variables[@]}" "$(command -v script)" -qec "$*" /dev/null
}

succeeds() {
  if [[ "$status" != 0 ]]; then
    echo "exit status $status: $output"
    return 1
  fi
}
refused() { # refused words: an error that holds them
  if [[ "$status" == 0 || "$output" != *"error: "*"$1"* ]]; then
    echo "exit status $status, without '$1': $output"
    return 1
  fi
}
says() {
  if [[ "$output" != *"$1"* ]]; then
    echo "without '$1': $output"
    return 1
  fi
}
called() { # called words: one call holds them
  if [[ "$(cat "$machine/calls")" != *"$1"* ]]; then
    echo "no call '$1': $(cat "$machine/calls")"
    return 1
  fi
}
not_called() {
  if [[ "$(cat "$machine/calls")" == *"$1"* ]]; then
    echo "a call '$1': $(cat "$machine/calls")"
    return 1
  fi
}
has_wheel() { [[ "$(cat "$repository/.deps/complete")" == "torch 2.11.0 cpu" && ! -e "$repository/.deps/download" ]]; }
