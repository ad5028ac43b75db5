# A bare bookworm system in a folder, removed when the script that sources this ends.

if [ "$(id -u)" -ne 0 ]; then
  echo "this test needs root (chroot)" >&2
  exit 1
fi
root=$(mktemp -d)
remove_bare_system() {
  umount "$root/proc" 2>/dev/null || true
  rm -rf --one-file-system "$root"
}
trap remove_bare_system EXIT

# make_bare_system PACKAGE,...: with these packages alone.
make_bare_system() {
  # The sources of this machine, so that its mirror is used.
  mmdebstrap --variant=minbase --include="$1" bookworm "$root" \
    $(ls /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null)
  cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
  cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
  mount -t proc proc "$root/proc"
}

# in_bare_system COMMAND...
in_bare_system() {
  chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"
}

# install_in_bare_system PACKAGE|/FILE.deb...: a pattern is one of that system.
install_in_bare_system() {
  in_bare_system sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends $*" >/dev/null
}
