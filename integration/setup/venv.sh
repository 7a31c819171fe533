#!/bin/sh
# Make .venv at the top of the checkout and install vkprovider into it: venv.sh [GROUP...]
# The groups are dependency groups of pyproject.toml: test, lint. Nothing is done again until pyproject.toml changes.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
venv=.venv
stamp="$(sha256sum <pyproject.toml | cut -c1-64) $PWD" # an environment that was moved does not work either

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

# The first Python that is new enough and passes a further test, given as an expression.
find_python() {
	for name in python3 python3.11 python3.12 python3.13 python3.14; do
		if "$name" -c "import sys; sys.exit(not (sys.version_info >= (3, 11) and $1))" 2>/dev/null; then
			echo "$name"
			return
		fi
	done
	return 1
}

complete='__import__("venv") and __import__("ensurepip")'

ensure_python() {
	python=$(find_python "$complete") && return
	if python=$(find_python True); then
		"$here/apt.sh" "$python-venv"
	else
		"$here/apt.sh" python3 python3-venv
	fi
	python=$(find_python "$complete") ||
		fail "no Python 3.11 or newer here, only $(python3 --version): install one with its venv module, then run this again"
}

# Run pip. What it says is shown only if it fails.
pip() {
	said=$("$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@" 2>&1) && return
	echo "$said" | tail -n 15 >&2
	fail "'pip $*' failed, its last words are above: is the package index reachable?"
}

current() {
	for part in runtime "$@"; do
		[ "$(cat "$venv/installed-$part" 2>/dev/null)" = "$stamp" ] || return 1
	done
}

current "$@" && exit
if [ "$(cut -d' ' -f2- "$venv/installed-runtime" 2>/dev/null)" != "$PWD" ]; then
	ensure_python
	say "making $venv with $("$python" --version)"
	"$python" -m venv --clear "$venv" >/dev/null || fail "'$python -m venv $venv' failed: see above"
fi
say "installing vkprovider into $venv${*:+ with what is needed for: $*}"
if [ $# -gt 0 ]; then
	pip install 'pip>=25.1' # which knows dependency groups
fi
groups=
for group; do groups="$groups --group $group"; done
# shellcheck disable=SC2086  # two arguments per group
pip install --editable . $groups
for part in runtime "$@"; do echo "$stamp" >"$venv/installed-$part"; done
