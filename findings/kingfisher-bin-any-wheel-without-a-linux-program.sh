#!/bin/sh
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# kingfisher-bin 1.92.0 and 2.14.0 of the Python index, the secret scanner Kingfisher as a wheel.
#
# A wheel that carries a compiled program is expected to say for which machine. That of 1.92.0 is tagged py3-none-any, so pip
# takes it for every machine, Linux on ARM and on x86_64 included, says "Successfully installed", and puts down a launcher. In it
# are two programs: one for macOS and one for Windows, none for Linux. The failure comes with the first call, as an exec format
# error. 2.14.0 has a wheel of its own for Linux on ARM, with an ELF program for it.
#
# Seen:
#   1.92.0: kingfisher_bin-1.92.0-py3-none-any.whl for aarch64 and for x86_64; bin/kingfisher is Mach-O, bin/kingfisher.exe PE
#   2.14.0: a manylinux wheel for aarch64; its program is ELF for AArch64
#
# Ends with 0 when it is still so, with 1 when the behaviour has changed, with 2 when it cannot be tried here. Needs python3-venv
# and pip's own package source; everything is put into a temporary folder, nothing is installed.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cannot() {
    echo "cannot be tried here: $*" >&2
    exit 2
}

fetch() {
    venv/bin/pip download -q --disable-pip-version-check --no-deps --only-binary :all: --platform "$2" --platform "$3" -d "$1-$2" \
        "kingfisher-bin==$1" || cannot "kingfisher-bin $1 from the Python index"
}

python3 -m venv venv || cannot "a venv"
fetch 1.92.0 manylinux2014_aarch64 manylinux_2_28_aarch64
fetch 1.92.0 manylinux2014_x86_64 manylinux_2_28_x86_64
fetch 2.14.0 manylinux_2_17_aarch64 musllinux_1_2_aarch64

cat >look.py <<'END'
import pathlib, struct, sys, zipfile

KINDS = {b"\x7fELF": "ELF", b"\xcf\xfa\xed\xfe": "Mach-O", b"\xca\xfe\xba\xbe": "Mach-O"}


def programs(directory):
    (wheel,) = pathlib.Path(directory).glob("*.whl")
    found = {}
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            with packed.open(name) as handle:
                head = handle.read(20)
            kind = KINDS.get(head[:4]) or ("PE" if head[:2] == b"MZ" else "")
            if kind == "ELF":
                kind += " for machine %d" % struct.unpack_from("<H", head, 18)
            if kind:
                found[name.rsplit("/", 1)[-1]] = kind
    print(wheel.name, found)
    return wheel.name, found


same = True
for machine in ("manylinux2014_aarch64", "manylinux2014_x86_64"):
    name, found = programs("1.92.0-" + machine)
    same = same and name.endswith("-py3-none-any.whl") and found == {"kingfisher": "Mach-O", "kingfisher.exe": "PE"}
# 183 is AArch64 in the header of an ELF file.
name, found = programs("2.14.0-manylinux_2_17_aarch64")
same = same and "aarch64" in name and set(found.values()) == {"ELF for machine 183"}
sys.exit(0 if same else 1)
END
python3 look.py && echo "as it was" || { echo "it has changed"; exit 1; }
