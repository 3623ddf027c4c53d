#!/bin/sh
# Installs redis-server, PostgreSQL, openssl and iproute2 for the tests, unless they are installed. Starts no service:
# the tests start their own servers, on their own ports and in temporary folders.
set -eu

POLICY=/usr/sbin/policy-rc.d

say() { printf 'setup: %s\n' "$*"; }

fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# Debian does not add initdb to PATH.
has_postgres() { has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }

# The chaos tests cut networks with ip, on Linux only.
has_ip() { has ip || [ "$(uname)" != Linux ]; }

has_all() { has redis-server && has_postgres && has openssl && has_ip; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif has sudo; then
    sudo "$@"
  else
    fail "installing requires root, and sudo is not available. Run this as root, or install redis-server, PostgreSQL, openssl and iproute2 manually."
  fi
}

allow_services_again() { [ ! -e "$POLICY" ] || as_root rm -f "$POLICY"; }

# Debian packages start their services unless this file exits with 101. A machine that already has such a file keeps it.
forbid_services() {
  [ ! -e "$POLICY" ] || return 0
  trap allow_services_again EXIT
  trap 'exit 1' HUP INT TERM
  as_root sh -c "printf '%s\n' '#!/bin/sh' '# Used during one installation; safe to remove.' 'exit 101' >$POLICY && chmod 755 $POLICY"
}

install_by_apt() {
  forbid_services || return
  as_root apt-get update -qq || say "apt-get update failed; using the existing package lists"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=120 redis-server postgresql openssl iproute2 || return
  # Do not start them at the next boot either.
  [ ! -d /run/systemd/system ] || as_root systemctl disable --quiet redis-server postgresql ||
    say "could not disable the services redis-server and postgresql; they will start at the next boot"
}

# On distributions that replaced Redis with Valkey, the compatibility package provides redis-server.
install_by_dnf() {
  as_root "$1" install -y postgresql-server openssl iproute || return
  as_root "$1" install -y redis || as_root "$1" install -y valkey-compat-redis
}

install_by_pacman() {
  as_root pacman -Sy --needed --noconfirm postgresql openssl iproute2 || return
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
    as_root apk add --no-cache redis postgresql openssl iproute2
  elif has pacman; then
    install_by_pacman
  elif has brew; then
    brew install redis postgresql@17 openssl
  else
    fail "found none of apt-get, dnf, yum, apk, pacman and brew. Install redis-server, PostgreSQL, openssl and iproute2 manually; the tests need them."
  fi
}

if has_all; then
  say "nothing to do, redis-server, PostgreSQL, openssl and iproute2 are installed: $(redis-server --version)"
  exit 0
fi

say "redis-server, PostgreSQL, openssl or iproute2 is missing: installing them with the package manager, without starting a service"
install </dev/null || fail "the package manager failed; its output is above. The tests need all of them."
has_all || fail "the package manager finished, but redis-server, openssl, ip or initdb was not found. Install them manually; the tests need them."
say "installed: $(redis-server --version)"
