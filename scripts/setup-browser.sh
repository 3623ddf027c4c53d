#!/bin/sh
# Installs Chromium for `npm run test:browser`, unless it is installed.
set -eu

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null 2>&1; then
    printf 'setup-browser: nothing to do, %s is installed\n' "$name"
    exit 0
  fi
done

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

command -v apt-get >/dev/null 2>&1 || {
  printf 'setup-browser: apt-get is not available. Install Chromium manually.\n' >&2
  exit 1
}
as_root apt-get update -qq || printf 'setup-browser: apt-get update failed; using the existing package lists\n'
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  -o DPkg::Lock::Timeout=120 chromium </dev/null
