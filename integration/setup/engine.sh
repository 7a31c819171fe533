#!/bin/sh
# Make sure that a Docker engine answers: installed from the distribution if there is none, started if it does not run.
#
#   engine.sh        does what is missing
#   engine.sh stop   ends the engine if this script started it itself, which it does only where there is no init system
set -eu

here=$(dirname "$0")
state=${XDG_STATE_HOME:-$HOME/.local/state}/vkprovider
log=$state/dockerd.log
pidfile=$state/dockerd.pid

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

answers() { timeout 10 docker version >/dev/null 2>&1; }

wait_for_answer() {
	for _ in $(seq 150); do
		answers && return
		sleep 0.2
	done
	return 1
}

# The pid of the engine that this script started, if it still runs.
own_pid() {
	pid=$(cat "$pidfile" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] && echo "$pid"
}

install() {
	packages="docker.io ca-certificates"
	[ -d /sys/module/apparmor ] && packages="$packages apparmor"
	# shellcheck disable=SC2086  # one argument per package
	"$here/apt.sh" $packages
	command -v docker >/dev/null || "$here/apt.sh" docker-cli # a package of its own from Debian 13 on
}

start_by_init() {
	if [ -d /run/systemd/system ]; then
		systemctl start docker >/dev/null 2>&1 || fail "Docker does not start: see 'journalctl -u docker'"
	else
		service docker start >/dev/null 2>&1 || fail "Docker does not start: see /var/log/docker.log"
	fi
	wait_for_answer || fail "Docker was started but does not answer: see 'docker version'"
}

start_directly() {
	mkdir -p "$state"
	say "starting dockerd (no init system here; log: $log; '$0 stop' ends it)"
	setsid dockerd >"$log" 2>&1 </dev/null &
	echo $! >"$pidfile"
	wait_for_answer && return
	tail -n 5 "$log" >&2
	fail "dockerd does not come up, its last words are above: see $log"
}

start() {
	if [ -d /run/systemd/system ] || [ "$(cat /proc/1/comm)" = init ]; then
		start_by_init
	else
		start_directly
	fi
}

ensure() {
	if command -v docker >/dev/null; then
		answers && return
		host=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || true)
		case $host in
		"" | unix:///var/run/docker.sock | unix:///run/docker.sock) ;;
		*) fail "Docker at $host does not answer: start it, or unset DOCKER_HOST and run 'docker context use default'" ;;
		esac
		case $(docker version 2>&1) in
		*"permission denied"*)
			fail "this user may not use Docker: run 'sudo usermod -aG docker $(id -un)', log in again, then run this again"
			;;
		esac
	fi
	if ! command -v docker >/dev/null || ! command -v dockerd >/dev/null; then
		[ "$(id -u)" = 0 ] || fail "Docker is missing: run 'sudo apt-get install docker.io && sudo usermod -aG docker" \
			"$(id -un)', log in again, then run this again"
		install
		answers && return
	fi
	[ "$(id -u)" = 0 ] || fail "Docker does not run: run 'sudo systemctl start docker' (or 'sudo $0'), then run this again"
	start
}

stop() {
	pid=$(own_pid) || return 0
	kill "$pid"
	for _ in $(seq 150); do
		[ -d "/proc/$pid" ] || break
		sleep 0.2
	done
	[ ! -d "/proc/$pid" ] || fail "dockerd, process $pid, does not stop: see $log"
	rm -f "$pidfile"
}

case ${1:-ensure} in
ensure) ensure ;;
stop) stop ;;
*) fail "usage: $0 [stop]" ;;
esac
