#!/bin/sh
# Checks and tries the alert rules with promtool. Where there is none, that of Debian's package is unpacked
# beside everything else: nothing is installed, and no service starts.
set -eu

cd "$(dirname "$0")/../deploy/prometheus"

if ! command -v promtool >/dev/null 2>&1; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  trap 'exit 1' HUP INT TERM
  (
    cd "$folder"
    download() { apt-get -qq -o APT::Sandbox::User=root download prometheus; }
    download || { apt-get -qq update && download; } || {
      printf 'check-alerts: no promtool here, and no Debian package to take it from\n' >&2
      exit 1
    }
    dpkg-deb --extract prometheus_*.deb .
  )
  PATH="$folder/usr/bin:$PATH"
fi

promtool check rules alerts.yml
promtool test rules alerts.test.yml
