# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.isolation import (
    in_network_of,
    isolated,
    parse_listening,
    parse_mounts,
)

MOUNTS = """22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw,nosuid,nodev,noexec shared:2 - proc proc rw
24 22 8:2 / /srv/with\\040space rw,noatime - ext4 /dev/sdb1 rw
25 22 8:3 / /data rw - ext4 /dev/sdc1 rw
26 25 8:4 / /data/drill/app/data rw - ext4 /dev/sdd1 rw
nonsense
"""


def test_all_but_what_is_to_be_written_to_becomes_read_only() -> None:
    assert parse_mounts(MOUNTS, "/data/drill/app") == [
        (b"/", 0x200000),
        (b"/proc", 0x2 | 0x4 | 0x8),
        (b"/srv/with space", 0x400),
        (b"/data", 0),
    ]


def test_sockets_on_which_somebody_listens() -> None:
    text = (
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 18020 /tmp/mongodb-27017.sock\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 18021 /run/with a space.sock\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 18022 @abstract\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03 18023 /tmp/mongodb-27017.sock\n"
        "0000000000000000: 00000003 00000000 00000000 0002 01 18024 /dev/log\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03 18025\n"
    )
    assert parse_listening(text) == ["/run/with a space.sock", "/tmp/mongodb-27017.sock"]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root: isolation is NOT tested here")


@needs_root
def test_a_program_reaches_no_network_and_writes_to_one_directory(tmp_path: Path) -> None:
    own, guarded = tmp_path / "own", tmp_path / "guarded"
    own.mkdir()
    guarded.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = (
            "import socket, sys\n"
            "open('mine', 'w').write('x')\n"
            f"try:\n open({str(guarded / 'a')!r}, 'w'); sys.exit('written')\n"
            "except OSError: pass\n"
            f"try:\n socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2); sys.exit('reached')\n"
            "except ConnectionRefusedError: pass\n"
            "with socket.create_server(('127.0.0.1', 0)) as s: socket.create_connection(s.getsockname(), 2)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            preexec_fn=isolated(str(own), [str(guarded)]),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert (own / "mine").read_text() == "x"
    # What is to be guarded and could be written to: it does not start.
    with pytest.raises(subprocess.SubprocessError):
        subprocess.Popen([sys.executable, "-c", ""], preexec_fn=isolated(str(own), [str(own)]))


@needs_root
def test_asking_inside_the_network_of_another_process(tmp_path: Path) -> None:
    code = (
        "import socket\n"
        "s = socket.create_server(('127.0.0.1', 4567))\n"
        "print('listening', flush=True)\n"
        "s.accept()[0].sendall(b'inside')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], preexec_fn=isolated(str(tmp_path), []), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()

        def ask() -> bytes:
            with socket.create_connection(("127.0.0.1", 4567), 5) as connection:
                return connection.recv(10)

        with pytest.raises(ConnectionRefusedError):
            ask()
        assert in_network_of(process.pid, ask) == b"inside"
    with pytest.raises(MaintenanceError, match="cannot enter the network"):
        in_network_of(process.pid, ask)


@needs_root
def test_a_program_reaches_no_socket_of_the_host_but_those_that_it_may(tmp_path: Path) -> None:
    """The database of the shop listens on a file as well, and a file system that is read-only is no hindrance to that."""
    for name in ("own", "shop", "drill"):
        (tmp_path / name).mkdir()
    paths = [str(tmp_path / name / "db.sock") for name in ("shop", "drill")]
    # What covers one of them is the host's own /dev/null: the mode that it has is given to it once more.
    code = (
        "import os, socket\n"
        f"for path in {paths!r}:\n"
        " try: socket.socket(socket.AF_UNIX).connect(path); print('reached')\n"
        " except OSError: print('refused')\n"
        f"try: os.chmod({paths[0]!r}, os.stat('/dev/null').st_mode & 0o7777); print('changed')\n"
        "except OSError as error: print(error.errno)\n"
    )
    with socket.socket(socket.AF_UNIX) as shop, socket.socket(socket.AF_UNIX) as drill:
        for server, path in ((shop, paths[0]), (drill, paths[1])):
            server.bind(path)
            server.listen()
        enter = isolated(str(tmp_path / "own"), [], [str(tmp_path / "drill")])
        done = subprocess.run(
            [sys.executable, "-c", code], preexec_fn=enter, capture_output=True, text=True, check=True
        )
    assert done.stdout.split() == ["refused", "reached", str(errno.EROFS)]
