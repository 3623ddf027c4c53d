# Source this file. `debian_tool COMMAND PACKAGE` adds a command to PATH. If the command is missing, it unpacks the
# Debian package into a temporary folder: it installs nothing and starts no service.

debian_tool() {
  ! command -v "$1" >/dev/null 2>&1 || return 0
  unpacked=$(mktemp -d)
  trap 'rm -rf "$unpacked"' EXIT
  trap 'exit 1' HUP INT TERM
  (
    cd "$unpacked"
    download() { apt-get -qq -o APT::Sandbox::User=root download "$1"; }
    download "$2" || { apt-get -qq update && download "$2"; } || {
      printf '%s is not installed, and the Debian package %s is not available\n' "$1" "$2" >&2
      exit 1
    }
    dpkg-deb --extract "$2"_*.deb .
  )
  PATH="$unpacked/usr/bin:$PATH"
}
