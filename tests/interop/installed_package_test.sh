#!/bin/sh
# Installs the ticket library into a folder of its own and builds examples/embed_verifier against it,
# with CMake and with pkg-config; runs both.
#
#     tests/interop/installed_package_test.sh [COMPILER]
set -eu

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
compiler=${1:-c++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
example=$source_dir/examples/embed_verifier

quietly() {
  "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "failed: $*"; exit 1; }
}

quietly cmake -S "$source_dir" -B "$work/library" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_COMPILER="$compiler" -DCOUNTERSIGN_LIBRARY_ONLY=ON -DCOUNTERSIGN_TESTS=OFF
quietly cmake --build "$work/library" --parallel 2
quietly cmake --install "$work/library" --prefix "$prefix"

# Nothing that is installed may point back into the source or build tree.
if grep -rlE "$source_dir|$work/library" "$prefix" --include='*.cmake' --include='*.pc' --include='*.h'; then
  echo "failed: installed files name the build machine's folders"
  exit 1
fi

quietly cmake -S "$example" -B "$work/by_cmake" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_PREFIX_PATH="$prefix"
quietly cmake --build "$work/by_cmake"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name countersign.pc)")
export PKG_CONFIG_PATH
mkdir "$work/by_pkg_config"
# The flags of pkg-config are words.
# shellcheck disable=SC2046
quietly "$compiler" -std=c++20 $(pkg-config --cflags countersign) "$example/main.cc" \
  -o "$work/by_pkg_config/embed_verifier" $(pkg-config --libs countersign)

echo '0Qnbtiw9atgEH4JGGiBnXg==' >"$work/app.secret"
for program in by_cmake by_pkg_config; do
  quietly "$work/$program/embed_verifier" app-key "$work/app.secret" username:alice
  grep -q '^identity: username alice$' "$work/log"
  grep -q '^changed:  bad_signature$' "$work/log"
  echo "$program: good"
done
