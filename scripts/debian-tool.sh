# To be sourced: `debian_tool COMMAND PACKAGE` puts a command on PATH. Where there is none, that of Debian's package
# is unpacked beside everything else: nothing is installed, and no service starts.

debian_tool() {
  ! command -v "$1" >/dev/null 2>&1 || return 0
  unpacked=$(mktemp -d)
  trap 'rm -rf "$unpacked"' EXIT
  trap 'exit 1' HUP INT TERM
  (
    cd "$unpacked"
    download() { apt-get -qq -o APT::Sandbox::User=root download "$1"; }
    download "$2" || { apt-get -qq update && download "$2"; } || {
      printf 'no %s here, and no Debian package %s to take it from\n' "$1" "$2" >&2
      exit 1
    }
    dpkg-deb --extract "$2"_*.deb .
  )
  PATH="$unpacked/usr/bin:$PATH"
}
