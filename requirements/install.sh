#!/bin/sh
# Make the virtual environment hold what a lock says: `requirements/install.sh test`. Quick when it already does.
#
# PYTHON  the interpreter to use; else the newest of python3.13, python3.12, python3.11 and python3 that runs
# VENV    the environment's folder; .venv unless set
set -eu

cd "$(dirname "$0")/.."
lock=requirements/$1.txt
venv=${VENV:-.venv}
done_with=$venv/.holds-$1  # the checksum of what was installed
busy=$venv/.busy           # there while an installation runs, so that one that was cut off is made anew
unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX || true

usable() {  # runs (a pyenv shim may exist and not run), is new enough, can make environments (Debian may leave that out)
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "No Python 3.11 or newer that can make virtual environments (tried: ${PYTHON:-python3.13 python3.12 python3.11 python3})." >&2
    echo "Install one (on Debian with python3-venv), or name it: make ${MAKECMDGOALS:-test} PYTHON=/path/to/python3.12" >&2
    return 1
}

version() {
    "$1" -c 'import sys; print(*sys.version_info[:3], sys.implementation.name)' 2>/dev/null
}

broken() {
    [ -e "$busy" ] || ! [ -e "$venv/.made" ] || ! version "$venv/bin/python" >/dev/null
}

other_python_asked() {
    [ -n "${PYTHON:-}" ] && [ "$(version "$PYTHON")" != "$(version "$venv/bin/python")" ]
}

make_venv() {
    python=$(find_python)
    echo "Making $venv with $python ($("$python" --version))"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    touch "$venv/.made"
}

wanted() {  # a moved checkout, another lock, other metadata: each asks for a new installation
    { pwd; cat "$lock" pyproject.toml; } | cksum
}

install() {
    echo "Installing $lock into $venv (a minute or two, the first time)"
    touch "$busy"
    pip="$venv/bin/python -m pip --disable-pip-version-check --no-input --quiet --quiet"
    $pip install --require-hashes --requirement "$lock"
    if grep -q '^hatchling==' "$lock"; then  # a set without the build backend holds tools only
        $pip install --no-deps --no-build-isolation --editable .
    fi
    rm "$busy"
    wanted >"$done_with"
}

if broken || other_python_asked; then
    make_venv
fi
if [ "$(cat "$done_with" 2>/dev/null)" != "$(wanted)" ]; then
    install
fi
