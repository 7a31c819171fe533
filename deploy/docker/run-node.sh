#!/bin/sh
# Run a node in a container, beside its pods: run-node.sh [FLAG...], the flags of `vkprovider node`.
# IMAGE, NAME and STATE_DIR may be set; the state directory has the same path inside and outside, as the engine, which
# mounts volumes from it, resolves paths on its own machine.
set -eu
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
case $socket in
unix://*) ;;
*) echo "run-node.sh: DOCKER_HOST is $socket: run this on the engine's machine, with its socket as unix:///..." >&2 && exit 2 ;;
esac
state=${STATE_DIR:-/var/lib/vkprovider}
exec docker run --detach --name "${NAME:-vkprovider}" --restart always --network host \
	--volume "${socket#unix://}:/var/run/docker.sock" \
	--volume "$state:$state" \
	--volume /etc/vkprovider:/etc/vkprovider:ro \
	"${IMAGE:-vkprovider}" node --state-dir "$state" "$@"
