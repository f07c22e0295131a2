# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.processes import (
    Socket,
    is_running,
    list_processes,
    listening_sockets,
    read_process,
)
from tests.conftest import NOT_TESTED


def test_this_process_is_found_as_it_is() -> None:
    me = next(process for process in list_processes() if process.pid == os.getpid())
    assert me.exe == os.path.realpath(sys.executable)
    assert me.cwd == os.getcwd()
    assert me.ppid == os.getppid()
    assert "\0".join(me.argv) + "\0" == Path("/proc/self/cmdline").read_text(encoding="utf-8", errors="surrogateescape")
    assert not me.contained
    assert is_running(me.pid, me.start_time)
    assert not is_running(me.pid, me.start_time + 1), "another process of the same pid"


def test_a_name_full_of_parentheses_and_a_zombie(tmp_path: Path) -> None:
    odd = tmp_path / "a) S 1 (b"
    odd.symlink_to("/bin/sleep")
    child = subprocess.Popen([str(odd), "60"], cwd=tmp_path)
    try:
        # The kernel shows a new program's arguments a moment after Popen has returned.
        while True:
            found = read_process(child.pid)
            assert found is not None
            if found.argv:
                break
        assert (found.ppid, found.cwd, found.argv) == (os.getpid(), str(tmp_path), (str(odd), "60"))
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        zombie = read_process(child.pid)
        assert zombie is not None and zombie.state == "Z" and zombie.exe == ""
        assert not is_running(child.pid, found.start_time)
    finally:
        child.kill()
        child.wait()
    assert read_process(child.pid) is None


@pytest.mark.parametrize("family, address", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_listening_socket_is_found_with_its_process(family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family) as server:
        try:
            server.bind((address, 0))
        except OSError:
            pytest.skip(NOT_TESTED + "sockets of this machine: there is no %s" % address)
        port = server.getsockname()[1]
        expected = Socket("tcp", address, port, os.getpid())
        assert expected not in listening_sockets()
        server.listen()
        assert expected in listening_sockets()
    assert expected not in listening_sockets()


def test_datagrams_and_the_wildcard() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 0))
        expected = Socket("udp", "0.0.0.0", server.getsockname()[1], os.getpid())
        assert expected in listening_sockets()
        assert expected not in listening_sockets(protocols=("tcp",))


def fake_process(proc: Path, pid: int, status: str) -> Path:
    directory = proc / str(pid)
    directory.mkdir(parents=True)
    (directory / "stat").write_text("%d (node (x)) S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n" % pid)
    (directory / "status").write_text(status)
    return directory


def test_what_cannot_be_read_is_empty_and_what_is_gone_is_left_out(tmp_path: Path) -> None:
    directory = fake_process(tmp_path, 10, "Uid:\t4294967294\t4294967294\t0\t0\nNSpid:\t10\t1\n")
    (directory / "cmdline").write_bytes(b"node\0server.js\0\0")
    os.symlink("/opt/node (deleted)", directory / "exe")
    (tmp_path / "11").mkdir()  # ended between listing and reading
    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "stat").write_text("12 (torn) S 1")
    fake_process(tmp_path, 13, "Uid:\tx\ty\n")
    assert [process.pid for process in list_processes(str(tmp_path))] == [10]
    found = read_process(10, str(tmp_path))
    assert found is not None
    assert found.exe == "/opt/node" and found.name == "node" and found.cwd == ""
    assert found.argv == ("node", "server.js", "")
    assert found.user == "4294967294" and found.contained and found.start_time == 4711


def test_addresses_of_the_kernel_tables(tmp_path: Path) -> None:
    net = tmp_path / "net"
    net.mkdir()
    head = "  sl  local_address rem_address st tx rx tr tm uid timeout inode\n"

    def row(address: str, state: str) -> str:
        return "   0: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000 0 0 0 1\n" % (address, state)

    words = "".join(
        format(int.from_bytes(part, sys.byteorder), "08X") for part in (b"\0" * 4, b"\0" * 4, b"\0\0\xff\xff")
    )
    loopback = format(int.from_bytes(socket.inet_aton("127.0.0.1"), sys.byteorder), "08X")
    (net / "tcp").write_text(head + row(loopback + ":0050", "0A") + row("0100007F:0051", "01") + "torn line\n")
    (net / "tcp6").write_text(head + row(words + loopback + ":1F90", "0A"))
    assert listening_sockets(str(tmp_path)) == [Socket("tcp", "127.0.0.1", 80), Socket("tcp", "127.0.0.1", 8080)]


def test_no_proc_at_all(tmp_path: Path) -> None:
    assert list_processes(str(tmp_path / "none")) == []
    assert listening_sockets(str(tmp_path / "none")) == []
