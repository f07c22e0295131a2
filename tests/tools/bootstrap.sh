#!/bin/sh
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes the checkout's own .venv and unpacks the collections that the tests use into .cache/collections.
# Does nothing when both are up to date; touches nothing outside the checkout. PYTHON names another interpreter.
set -eu

cd "$(dirname "$0")/../.."
mkdir -p .cache
export PIP_CACHE_DIR="${PIP_CACHE_DIR:-$PWD/.cache/pip}"

# Two makes at once must not build into the same directory.
if command -v flock >/dev/null 2>&1; then
    exec 9>.cache/bootstrap.lock
    flock 9
fi

ansible_wheel="ansible==12.3.0"
wanted_collections="ansible/posix community/docker community/library_inventory_filtering_v1"

stop() {
    printf '%s\n' "$@" >&2
    exit 1
}

recent_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

can_make_venvs() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

find_python() {
    without_venv=""
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14 /usr/bin/python3}; do
        recent_enough "$candidate" || continue
        if can_make_venvs "$candidate"; then
            command -v "$candidate"
            return
        fi
        without_venv="${without_venv:-$candidate}"
    done
    if [ -n "$without_venv" ]; then
        version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        stop "Python's venv module is missing. Install it with:  sudo apt-get install python${version}-venv"
    fi
    stop "Python 3.11 or newer is needed. Install it with:  sudo apt-get install python3 python3-venv"
}

# Prints a line every few seconds (BEAT) until end_beat, so that minutes of work are not silent.
begin_beat() {
    # What runs in a shell's background is not told of Ctrl-C: it looks itself whether this shell is still there. sleep outlives the loop,
    # and must hold neither the lock nor what is piped on.
    while sleep "${BEAT:-4}" >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do echo "  ..."; done 9>&- &
    beat=$!
}

end_beat() {
    [ -z "${beat:-}" ] || kill "$beat" 2>/dev/null || :
    beat=""
}
trap end_beat EXIT

# Runs pip and prints a line for each package.
pip_with_progress() {
    # sh has no pipefail: a file tells whether pip came to its end.
    rm -f .cache/pip-done
    { .venv/bin/python -m pip "$@" --disable-pip-version-check --no-input --progress-bar off 9>&- && : >.cache/pip-done; } |
        sed -u -n 's/^Collecting \([^ ]*\).*/  \1/p; s/^Installing collected packages.*/  installing them/p'
    [ -e .cache/pip-done ] && rm -f .cache/pip-done
}

make_venv() {
    if [ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null && cmp -s requirements-dev.txt .venv/installed.txt; then
        return
    fi
    python=$(find_python)
    echo "Making .venv with $python: about a minute, once ..."
    rm -f .venv/installed.txt
    begin_beat
    "$python" -m venv --clear .venv
    pip_with_progress install -r requirements-dev.txt ||
        stop "The packages of requirements-dev.txt could not be installed; pip's message above says why. Then: make venv"
    # The copy is the mark of a finished installation, so it comes last.
    end_beat
    cp requirements-dev.txt .venv/installed.txt.new
    mv .venv/installed.txt.new .venv/installed.txt
}

unpack_collections() {
    stamp=.cache/collections/unpacked.txt
    if [ "$(cat "$stamp" 2>/dev/null)" = "$ansible_wheel $wanted_collections" ]; then
        return
    fi
    echo "Unpacking the collections that the tests use (a 54 MB download, once) ..."
    begin_beat
    rm -rf .cache/collections .cache/collections.new
    mkdir -p .cache/collections.new
    pip_with_progress download --no-deps --dest .cache/collections.new "$ansible_wheel" || stop "$ansible_wheel could not be downloaded; pip's message above says why. Then: make venv"
    # shellcheck disable=SC2086 # the names are a list
    .venv/bin/python - .cache/collections.new $wanted_collections <<'END'
import pathlib
import sys
import zipfile

directory = pathlib.Path(sys.argv[1])
prefixes = tuple(f"ansible_collections/{name}/" for name in sys.argv[2:])
(wheel,) = directory.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(directory, [name for name in archive.namelist() if name.startswith(prefixes)])
wheel.unlink()
for prefix in prefixes:
    if not (directory / prefix / "MANIFEST.json").exists():
        sys.exit(f"{wheel.name} does not hold {prefix}")
END
    end_beat
    mv .cache/collections.new .cache/collections
    echo "$ansible_wheel $wanted_collections" >"$stamp"
}

make_venv
unpack_collections
