#!/bin/sh
# Puts a redis-server on this machine, for the tests: they start their own Redis, on their own ports
# and in folders of their own. Does nothing where there is one; starts no service.
set -eu

POLICY=/usr/sbin/policy-rc.d

say() { printf 'setup: %s\n' "$*"; }

fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif has sudo; then
    sudo "$@"
  else
    fail "installing Redis needs root, and there is no sudo here. Run this as root, or install redis-server by hand."
  fi
}

allow_services_again() { [ ! -e "$POLICY" ] || as_root rm -f "$POLICY"; }

# Debian's packages start what they install. They ask this file first, and 101 means no.
# A machine that has a rule of its own there keeps it.
forbid_services() {
  [ ! -e "$POLICY" ] || return 0
  trap allow_services_again EXIT
  trap 'exit 1' HUP INT TERM
  as_root sh -c "printf '%s\n' '#!/bin/sh' '# Here for one installation; safe to remove.' 'exit 101' >$POLICY && chmod 755 $POLICY"
}

install_by_apt() {
  forbid_services || return
  as_root apt-get update -qq || say "apt-get update failed; trying with the package lists at hand"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=120 redis-server || return
  # Not at the next boot either.
  [ ! -d /run/systemd/system ] || as_root systemctl disable --quiet redis-server ||
    say "could not disable the service redis-server; it will start at the next boot"
}

# Where Redis was replaced by Valkey, its compatibility package provides the command redis-server.
install_by_dnf() { as_root "$1" install -y redis || as_root "$1" install -y valkey-compat-redis; }

install_by_pacman() {
  as_root pacman -Sy --needed --noconfirm redis || as_root pacman -S --needed --noconfirm valkey
}

install_redis() {
  if has apt-get; then
    install_by_apt
  elif has dnf; then
    install_by_dnf dnf
  elif has yum; then
    install_by_dnf yum
  elif has apk; then
    as_root apk add --no-cache redis
  elif has pacman; then
    install_by_pacman
  elif has brew; then
    brew install redis
  else
    fail "found none of apt-get, dnf, yum, apk, pacman and brew. Install redis-server by hand; the tests need it."
  fi
}

if has redis-server; then
  say "nothing to do, redis-server is here: $(redis-server --version)"
  exit 0
fi

say "no redis-server on this machine: installing one with its package manager, without starting a service"
install_redis </dev/null || fail "the package manager could not install Redis; what it said is above. The tests need redis-server."
has redis-server || fail "the package manager is done, but there is still no redis-server in PATH. Install it by hand; the tests need it."
say "installed: $(redis-server --version)"
