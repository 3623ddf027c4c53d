#!/bin/sh
# Puts a redis-server, a PostgreSQL and an openssl on this machine, for the tests: they start their own, on their
# own ports and in folders of their own. Does nothing where they are there; starts no service.
set -eu

POLICY=/usr/sbin/policy-rc.d

say() { printf 'setup: %s\n' "$*"; }

fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# Debian keeps it out of PATH.
has_postgres() { has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }

has_all() { has redis-server && has_postgres && has openssl; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif has sudo; then
    sudo "$@"
  else
    fail "installing needs root, and there is no sudo here. Run this as root, or install redis-server, PostgreSQL and openssl by hand."
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
    -o DPkg::Lock::Timeout=120 redis-server postgresql openssl || return
  # Not at the next boot either.
  [ ! -d /run/systemd/system ] || as_root systemctl disable --quiet redis-server postgresql ||
    say "could not disable the services redis-server and postgresql; they will start at the next boot"
}

# Where Redis was replaced by Valkey, its compatibility package provides the command redis-server.
install_by_dnf() {
  as_root "$1" install -y postgresql-server openssl || return
  as_root "$1" install -y redis || as_root "$1" install -y valkey-compat-redis
}

install_by_pacman() {
  as_root pacman -Sy --needed --noconfirm postgresql openssl || return
  as_root pacman -S --needed --noconfirm redis || as_root pacman -S --needed --noconfirm valkey
}

install() {
  if has apt-get; then
    install_by_apt
  elif has dnf; then
    install_by_dnf dnf
  elif has yum; then
    install_by_dnf yum
  elif has apk; then
    as_root apk add --no-cache redis postgresql openssl
  elif has pacman; then
    install_by_pacman
  elif has brew; then
    brew install redis postgresql@17 openssl
  else
    fail "found none of apt-get, dnf, yum, apk, pacman and brew. Install redis-server, PostgreSQL and openssl by hand; the tests need them."
  fi
}

if has_all; then
  say "nothing to do, redis-server, PostgreSQL and openssl are here: $(redis-server --version)"
  exit 0
fi

say "redis-server, PostgreSQL or openssl is missing on this machine: installing them with its package manager, without starting a service"
install </dev/null || fail "the package manager could not install them; what it said is above. The tests need them all."
has_all || fail "the package manager is done, but redis-server or openssl is not in PATH, or there is no initdb. Install them by hand; the tests need them all."
say "installed: $(redis-server --version)"
