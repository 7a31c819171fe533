#!/bin/sh
# A second, newer Docker Engine on this machine, beside the one that may be running already: Engine 26.1 (API 1.45)
# from Debian 13, or with VKPROVIDER_ENGINE=28.5 that one (API 1.51) from Debian unstable. It has a socket, data, a
# containerd and a bridge of its own, with IPv6 where the machine has it, and leaves the firewall alone, so that no engine
# notices another.
#
#   start-engine.sh          starts it unless it runs, and prints its DOCKER_HOST, and nothing else, on stdout
#   start-engine.sh stop     stops it if it runs; its images are kept for the next time
#   start-engine.sh purge    stops it and removes everything, the download included
#
# Needs root, debootstrap, iproute2 and runc. Everything is kept below VKPROVIDER_CACHE, by default
# ${XDG_CACHE_HOME:-$HOME/.cache}/vkprovider. The packages come from the Debian mirror this machine uses, or from
# DEBIAN_MIRROR, or else from debootstrap's own default.
set -eu

version=${VKPROVIDER_ENGINE:-26.1}
case $version in
26.1) suite=trixie bridge=vkp-engine address=10.213.26.1/24 ipv6=fd00:213:26::/64 ;;
28.5) suite=sid bridge=vkp-engine-28 address=10.213.28.1/24 ipv6=fd00:213:28::/64 ;;
*) echo "start-engine: there is no Engine $version to be had: 26.1 and 28.5 are known" >&2; exit 1 ;;
esac

cache=${VKPROVIDER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vkprovider}
home=$cache/engine-$version
root=$home/root       # the Debian system that the programs are taken from
programs=$home/bin
data=$home/data
run=/run/vkprovider-engine-$version # short: a socket's path has at most 107 characters
socket=$run/docker.sock
pidfile=$run/docker.pid
log=$home/dockerd.log

say() { echo "start-engine: $*" >&2; }
fail() { say "$*"; exit 1; }

# The pid of our engine, if it runs. A pid file may be stale and its number taken: the command line decides.
engine_pid() {
	pid=$(cat "$pidfile" 2>/dev/null) || return 1
	tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "--pidfile $pidfile" || return 1
	echo "$pid"
}

answers() { curl --silent --fail --max-time 2 --unix-socket "$socket" http://engine/_ping >/dev/null 2>&1; }

is_up() { engine_pid >/dev/null && answers && echo "unix://$socket"; }

debian_mirror() {
	if [ -n "${DEBIAN_MIRROR:-}" ]; then
		echo "$DEBIAN_MIRROR"
		return
	fi
	# shellcheck disable=SC1091  # of this machine
	. /etc/os-release
	if [ "$ID" = debian ]; then
		# shellcheck disable=SC2016  # the format is apt's
		apt-get indextargets --format '$(RELEASE) $(REPO_URI)' |
			awk -v want="$VERSION_CODENAME" '$1 == want { print $2; exit }'
	fi
}

# What the engine leaves mounted when it ends.
unmount_below() { awk -v below="$1/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount; }

fetch() {
	[ -x "$root/usr/sbin/dockerd" ] && [ -e "$home/complete" ] && return
	command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
	say "fetching Engine $version (once; it takes a minute)"
	rm -rf --one-file-system "$root" "$home/complete"
	# shellcheck disable=SC2046  # no mirror, no argument
	debootstrap --variant=minbase --include=docker.io "$suite" "$root" $(debian_mirror) >"$home/debootstrap.log" 2>&1 ||
		fail "debootstrap failed: see $home/debootstrap.log"
	# shellcheck disable=SC2016  # the format is dpkg's
	found=$(chroot "$root" dpkg-query --show --showformat '${Version}' docker.io)
	case $found in
	$version.*) touch "$home/complete" ;;
	*) fail "Debian's $suite has docker.io $found, not $version" ;;
	esac
}

link_programs() {
	rm -rf "$programs"
	mkdir -p "$programs"
	for program in dockerd docker-proxy docker-init containerd containerd-shim-runc-v2; do
		for folder in usr/sbin usr/bin usr/libexec/docker; do
			[ -x "$root/$folder/$program" ] && ln -s "$root/$folder/$program" "$programs/$program" && break
		done
	done
	[ -e "$programs/dockerd" ] || fail "no dockerd in $root"
	runc=$(command -v runc) || fail "runc is missing: apt-get install runc"
	ln -s "$runc" "$programs/runc"
}

ensure_bridge() {
	ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
	ip address show dev "$bridge" | grep -qF "$address" || ip address add "$address" dev "$bridge"
	ip link set "$bridge" up
}

start() {
	is_up && return
	[ "$(id -u)" = 0 ] || fail "an engine needs root"
	command -v curl >/dev/null || fail "curl is missing: apt-get install curl"
	mkdir -p "$home" "$run" "$data"
	exec 9>"$home/lock"
	flock 9 # of several that start it at once, one does
	is_up && return
	fetch
	link_programs
	ensure_bridge
	if [ -e /proc/net/if_inet6 ]; then set -- --ipv6 --fixed-cidr-v6 "$ipv6"; else set --; fi
	PATH=$programs:$PATH setsid dockerd \
		--host "unix://$socket" --pidfile "$pidfile" --data-root "$data" --exec-root "$run/exec" \
		--bridge "$bridge" "$@" --iptables=false --ip6tables=false >"$log" 2>&1 </dev/null 9>&- &
	for _ in $(seq 150); do
		answers && echo "unix://$socket" && return
		kill -0 $! 2>/dev/null || break
		sleep 0.2
	done
	tail -n 5 "$log" >&2
	fail "the engine does not come up: see $log"
}

stop() {
	if pid=$(engine_pid); then
		kill "$pid"
		for _ in $(seq 150); do
			[ -d "/proc/$pid" ] || break
			sleep 0.2
		done
		[ -d "/proc/$pid" ] && fail "the engine, process $pid, does not stop: see $log"
	fi
	if ip link show "$bridge" >/dev/null 2>&1; then ip link delete "$bridge"; fi
	unmount_below "$run"
	unmount_below "$data"
	rm -rf --one-file-system "$run"
}

case ${1:-start} in
start) start ;;
stop) stop ;;
purge)
	stop
	rm -rf --one-file-system "$home"
	;;
*) fail "usage: $0 [start|stop|purge]" ;;
esac
