# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore into the live database whose server's disk fills up on the way: the server dies of it, and the shop does not."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.integration.test_mongo_backup import ok
from tests.integration.test_mongo_live_restore import World, beside
from tests.sandbox.mongod import Mongod
from tests.support.modules import finish_module, run_module, start_module

pytestmark = pytest.mark.usefixtures("mongod_libraries")

# More than a journal file of the server's (100 MB), for what fits into the one that is there needs no room at first.
DOCUMENTS, SIZE = 160, 1024 * 1024


@pytest.fixture(name="disk")
def _disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1500m", "miniecom-test", disk]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        lacking(f"a file system of our own (mount -t tmpfs): {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill_up(path: Path) -> None:
    """Write a file until nothing is left."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 1024 * 1024)
        except OSError as error:
            assert error.errno == errno.ENOSPC


def test_it_is_as_before_when_there_is_room_again(disk: Path, tmp_path: Path) -> None:
    filler = disk / "filler"
    with Mongod(disk / "mongod", auth=True) as server:
        world = World(server, tmp_path / "world")
        with server.client() as client:
            photos = client[world.name].photos
            photos.insert_many([{"_id": number, "x": os.urandom(SIZE)} for number in range(DOCUMENTS)])
            world.backup = world.back_up("with photos")
            photos.update_many({"_id": {"$lt": 5}}, {"$set": {"x": b"since"}})
            world.safety = world.back_up("of now")
            before = world.now()

        process = start_module("mongo_restore", world.params(allow_clients=True))
        with server.client() as client:
            deadline = time.monotonic() + 60
            while not beside(client, world.name):
                assert process.poll() is None, finish_module(process).msg
                assert time.monotonic() < deadline
        fill_up(filler)
        result = finish_module(process)
        assert result.failed
        assert server.address in result.msg, result.msg
        assert "could not be put in order yet" in result.msg

        server.stop()
        filler.unlink()
        server.start()
        ok(run_module("maintenance_run", {"state": "begun", "name": "x", "state_dir": str(world.directory / "state")}))
        assert world.now() == before
        world.require_nothing_left()
        ok(run_module("mongo_restore", world.params()))
        with server.client() as client:
            assert len(client[world.name].photos.find_one({"_id": 1})["x"]) == SIZE
