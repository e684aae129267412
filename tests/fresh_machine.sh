#!/usr/bin/env bash
# A bare Debian 12 becomes a machine that serves and tests Countersign, by the README's words alone:
# git clone, ./run, ./test. Wants root, debootstrap and a free port 8080; takes as long as installing and
# compiling everything takes. Runs as `./test fresh`.
#
# The new root is a folder with mounts, processes and a host name of its own, which all end with this script.
# From this machine it gets only what reaches the network: the apt sources, name servers and certificates.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
release=bookworm

fail() {
  echo "fresh machine: $*" >&2
  exit 1
}

# --- inside the new root ---------------------------------------------------------------------------

# Runs ./run until it says `ready`, then `act`, then ends it and wants exit 0.
served() { # served ACT COMMAND…
  local act=$1 line pid
  shift
  rm -f /tmp/said
  mkfifo /tmp/said
  "$@" >/tmp/said 2>/tmp/run.log &
  pid=$!
  exec 3</tmp/said
  while read -r line <&3; do
    [[ $line == ready* ]] && break
  done
  [[ ${line-} == "ready http://localhost:8080" ]] || { cat /tmp/run.log >&2; fail "no ready line"; }
  "$act"
  kill -TERM "$pid"
  wait "$pid" || fail "./run ended with $?"
  exec 3<&-
}

fetch_page() {
  local answer
  exec 4<>/dev/tcp/127.0.0.1/8080
  printf 'GET /users/sign_in HTTP/1.0\r\nHost: localhost:8080\r\n\r\n' >&4
  answer=$(cat <&4)
  exec 4<&-
  [[ $answer == *"200 OK"* && $answer == *"Sign in"* ]] || fail "no sign-in page: $answer"
}

look_at_files() {
  [ "$(stat -c %a var)" = 700 ] || fail "var/ is not private"
  [ "$(stat -c %a var/app.secret)" = 600 ] || fail "var/app.secret is not private"
  [ "$(stat -c %a var/demo-people)" = 600 ] || fail "var/demo-people is not private"
  [ "$(wc -l <var/demo-people)" = 2 ] || fail "there are not two demo people"
}

inside() {
  cd /srv/countersign
  echo "fresh machine: ./run"
  served fetch_page ./run
  look_at_files
  echo "fresh machine: ./run again, with no network"
  served true unshare --net ./run
  echo "fresh machine: ./test"
  ./test | tee /tmp/test.log || true
  tail -n 1 /tmp/test.log | grep -Eq '^[1-9][0-9]* passed, 0 failed(, [0-9]+ skipped)?$' || fail "./test failed"
}

# --- outside ---------------------------------------------------------------------------------------

mirror() {
  local uri
  uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 || true)
  echo "${uri:-http://deb.debian.org/debian}"
}

make_root() { # make_root FOLDER
  local file
  chmod 755 "$1"  # a root directory that only root may enter is nobody's machine
  debootstrap --variant=minbase "$release" "$1" "$(mirror)" >"$1.log" 2>&1 ||
    { tail -n 20 "$1.log" >&2; fail "debootstrap"; }
  rm -f "$1/etc/apt/sources.list"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
    if [ -s "$file" ]; then cp "$file" "$1$file"; fi
  done
  # How to reach the archive, and nothing else of this machine's apt.
  grep -l '^ *Acquire' /etc/apt/apt.conf.d/* 2>/dev/null | while read -r file; do
    cp "$file" "$1/etc/apt/apt.conf.d/"
  done
  cp /etc/resolv.conf /etc/hosts "$1/etc/"
  mkdir -p "$1/etc/ssl/certs" "$1/usr/local/share/ca-certificates"
  [ ! -e /etc/ssl/certs/ca-certificates.crt ] ||
    cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/machine.crt"
  git clone -q --no-hardlinks "$here" "$1/srv/countersign"
}

enter_root() { # enter_root FOLDER: in namespaces of its own
  mount --bind "$1" "$1"
  mount -t proc proc "$1/proc"
  mount --rbind /dev "$1/dev"
  mount -t tmpfs tmpfs "$1/tmp"
  mount -t tmpfs tmpfs "$1/dev/shm"
  exec chroot "$1" /usr/bin/env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/machine.crt \
    bash /srv/countersign/tests/fresh_machine.sh --inside
}

case ${1-} in
  --inside) inside ;;
  --enter) enter_root "$2" ;;
  '')
    [ "$(id -u)" -eq 0 ] || fail "wants root"
    command -v debootstrap >/dev/null || fail "wants debootstrap: apt-get install debootstrap"
    if (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null; then fail "port 8080 is in use"; fi
    folder=$(mktemp -d /var/tmp/countersign-fresh-XXXXXX)
    trap 'rm -rf --one-file-system "$folder" "$folder.log"' EXIT
    make_root "$folder"
    unshare --mount --propagation private --pid --fork --kill-child --uts \
      bash "${BASH_SOURCE[0]}" --enter "$folder"
    echo "fresh machine: good"
    ;;
  *) fail "takes no arguments" ;;
esac
