#!/usr/bin/env bash
# Installs what a set of this project's commands needs and this machine lacks, through apt.
# What is there is found by command or header, not by package name; with nothing missing it installs
# nothing and works offline.
#
#   tools/install_packages.sh build|test|producers|clang|tidy|fuzz|bench …
set -euo pipefail

missing=()
command_of() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
header_of() {
  local folder
  for folder in /usr/include /usr/include/*-linux-gnu /usr/local/include; do
    [ -e "$folder/$1" ] && return 0
  done
  missing+=("$2")
}

build() {
  command_of g++ g++
  command_of cmake cmake
  command_of ninja ninja-build
  command_of pkg-config pkg-config
  command_of esbuild esbuild
  header_of boost/asio.hpp libboost1.81-dev
  header_of boost/json.hpp libboost-json1.81-dev
  header_of tl/expected.hpp libexpected-dev
  header_of openssl/evp.h libssl-dev
  header_of sodium.h libsodium-dev
  header_of sqlite3.h libsqlite3-dev
  header_of postgresql/libpq-fe.h libpq-dev
  header_of spdlog/spdlog.h libspdlog-dev
  header_of fmt/format.h libfmt-dev
  header_of CLI/CLI.hpp libcli11-dev
  header_of toml++/toml.h libtomlplusplus-dev
  header_of prometheus/registry.h prometheus-cpp-dev
  header_of utf8proc.h libutf8proc-dev
  header_of idn2.h libidn2-dev
  header_of nats/nats.h libnats-dev
  header_of curl/curl.h libcurl4-openssl-dev
}

test() {
  build
  command_of python3 python3
  command_of clang-format clang-format
  command_of git git
  command_of node nodejs
  command_of npm npm
  command_of chromium chromium
  command_of sqlite3 sqlite3
  # Debian keeps the server's programs off the PATH.
  compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || missing+=(postgresql)
  command_of psql postgresql-client
  command_of setpriv util-linux
  command_of curl curl
  command_of ip iproute2
  command_of openssl openssl
  command_of nats-server nats-server
  command_of nginx nginx-light
  command_of certutil libnss3-tools
  command_of ruby ruby
  command_of php php-cli
  header_of gtest/gtest.h libgtest-dev
  header_of gmock/gmock.h libgmock-dev
  header_of rapidcheck.h librapidcheck-dev
}

producers() {
  test
  command_of javac default-jdk-headless
  command_of mcs mono-mcs
  command_of mono mono-runtime
  [ -e /usr/lib/cli/Newtonsoft.Json-5.0/Newtonsoft.Json.dll ] || missing+=(libnewtonsoft-json5.0-cil)
}

clang() {
  test
  command_of clang++-14 clang-14
  command_of ld.lld-14 lld-14
  [ -e /usr/lib/llvm-14/lib/clang/14.0.6/lib/linux ] || missing+=(libclang-rt-14-dev)
}

tidy() {
  clang
  command_of clang-tidy clang-tidy
}

fuzz() { clang; }

bench() {
  build
  command_of python3 python3
  command_of nginx nginx-light
  command_of wrk wrk
  command_of node nodejs
  command_of npm npm
  compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || missing+=(postgresql)
  command_of mosquitto mosquitto
  command_of nats-server nats-server
}

for part in "$@"; do
  case $part in
    build | test | producers | clang | tidy | fuzz | bench) "$part" ;;
    *) echo "tools/install_packages.sh: unknown part $part" >&2; exit 2 ;;
  esac
done

[ ${#missing[@]} -gt 0 ] || exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "These packages are missing, and installing them wants root or sudo:" >&2
    echo "  apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" apt-get -qq -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1; }
install() { apt install -y --no-install-recommends "${missing[@]}"; }
# The package lists may be absent (a fresh machine) or old (an address that has gone).
if ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null || ! install; then
  apt update && install || { cat "$log" >&2; exit 1; }
fi
