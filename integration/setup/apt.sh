#!/bin/sh
# Install packages of the distribution unless they are installed: apt.sh PACKAGE...
# Needs root and apt; if either is missing it says what to do instead.
set -eu

installed() {
	for package; do
		[ "$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || return 1
	done
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 </dev/null
}

if ! command -v apt-get >/dev/null; then
	echo "setup: this machine has no apt: install what Debian calls '$*' in its own way, then run this again" >&2
	exit 1
fi
installed "$@" && exit
if [ "$(id -u)" != 0 ]; then
	echo "setup: packages are missing: run 'sudo apt-get install $*', then run this again" >&2
	exit 1
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "setup: installing $*" >&2
# The package lists may be missing or out of date; fetching them takes long, so only if it does not work without.
apt install --yes --no-install-recommends "$@" ||
	{ apt update && apt install --yes --no-install-recommends "$@"; } || {
	tail -n 5 "$log" >&2
	echo "setup: 'apt-get install $*' failed: put that right, then run this again" >&2
	exit 1
}
