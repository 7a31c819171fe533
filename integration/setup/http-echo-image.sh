#!/bin/sh
# Make sure that the engine has an image hashicorp/http-echo: http-echo-image.sh
# It is pulled where a registry answers; else it is made on the spot, of busybox: a server that says the same on
# standard error, and answers by the text that it is given.
set -eu

image=hashicorp/http-echo
say() { echo "setup: $*" >&2; }

if docker image inspect "$image" >/dev/null 2>&1; then exit; fi
say "pulling $image"
if timeout 20 docker pull --quiet "$image" >/dev/null 2>&1; then exit; fi

"$(dirname "$0")/busybox-image.sh" busybox
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/http-echo" <<'END'
#!/bin/sh
for argument; do
	case $argument in
		-listen=*) port=${argument##*:} ;;
		-text=*) echo "${argument#*=}" >/www/index.html ;;
	esac
done
trap 'exit 0' TERM INT
echo "$(date -u '+%Y/%m/%d %H:%M:%S') Server is listening on :$port" >&2
httpd -f -p "$port" -h /www &
wait
END
cat >"$work/Dockerfile" <<'END'
FROM busybox
COPY http-echo /http-echo
RUN ["/bin/sh", "-c", "chmod 755 /http-echo && mkdir /www"]
ENTRYPOINT ["/http-echo"]
END
DOCKER_BUILDKIT=0 docker build --quiet --tag "$image" "$work" >/dev/null
say "no registry gave $image: it was made of busybox, under the same name"
