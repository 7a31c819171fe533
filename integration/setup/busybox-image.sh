#!/bin/sh
# Make sure that the engine has a busybox image of a name: busybox-image.sh NAME[:TAG]
# It is pulled where a registry answers; else it is made on the spot, under the same name, from the distribution's
# static busybox, and that is said.
set -eu

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

[ $# = 1 ] || fail "usage: $0 NAME[:TAG]"
image=$1
made="made here from"
if comment=$(docker image inspect --format '{{.Comment}}' "$image" 2>/dev/null); then
	case $comment in "$made"*) say "$image was $comment, as no registry gave it" ;; esac
	exit
fi

say "pulling $image"
if timeout 20 docker pull --quiet "$image" >/dev/null 2>&1; then exit; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/package" "$work/root"

# This machine's own busybox if it is static, else the one in Debian's package, which is unpacked and not installed.
busybox=$(command -v busybox || true)
if [ -z "$busybox" ] || ldd "$busybox" 2>/dev/null | grep -q '=>'; then
	download() { (cd "$work/package" && apt-get download -qq -o APT::Sandbox::User= busybox-static >/dev/null 2>&1); }
	download || { [ "$(id -u)" = 0 ] && apt-get update -qq >/dev/null 2>&1 && download; } ||
		fail "cannot pull $image, and there is no busybox to make it from:" \
			"run 'sudo apt-get update && sudo apt-get install busybox-static', then run this again"
	dpkg-deb --extract "$work"/package/*.deb "$work/package"
	busybox=$(find "$work/package" -name busybox -type f -perm -u+x)
fi

cd "$work/root"
mkdir -p bin dev etc home proc root sys tmp usr/bin var/tmp
chmod 1777 tmp var/tmp
cp "$busybox" bin/busybox
for applet in $(bin/busybox --list); do
	[ "$applet" = busybox ] || ln -s busybox "bin/$applet"
done
ln -s ../../bin/env usr/bin/env
printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534:nobody:/home:/bin/false >etc/passwd
printf '%s\n' root:x:0: nobody:x:65534: >etc/group
made="$made $(bin/busybox | head -n 1 | cut -d' ' -f1,2)"
tar --create --numeric-owner --owner=0 --group=0 . |
	docker import --message "$made" --change 'CMD ["sh"]' - "$image" >/dev/null ||
	fail "'docker import' of $image failed: see above"
say "no registry gave $image: it was $made, under the same name"
