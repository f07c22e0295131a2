# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's shop has the real one's habits: whatever works on an obedient shop alone is to be noticed here."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.sandbox.compose import FORMER_DATABASE, Compose
from tests.sandbox.native import Native
from tests.sandbox.seed import COLLATED, RULED
from tests.sandbox.shopfiles import WEB_SERVERS
from tests.sandbox.standin.api import read_env
from tests.support.sandboxes import Sandbox

# A socket's state in /proc/net/tcp6, and the address of all addresses.
LISTENS, ANYWHERE = "0A", "0" * 32


@pytest.fixture(params=["native", "compose"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    found: Sandbox = request.getfixturevalue(f"{request.param}_sandbox")
    return found


@pytest.fixture
def database(sandbox: Sandbox) -> Iterator[Any]:
    shop: Any = Native(sandbox.directory) if sandbox.deployment == "native" else Compose(sandbox.directory)
    client = shop._mongod().client() if sandbox.deployment == "native" else shop.client()
    with closing(client):
        yield client[shop.facts["database"]]


def inspect(sandbox: Sandbox, container: str) -> dict[str, Any]:
    return dict(Compose(sandbox.directory).engine.api("GET", f"/containers/{container}/json"))


def test_what_the_api_is_given_is_not_what_stands_in_the_env_file(sandbox: Sandbox) -> None:
    values = read_env(str(sandbox.env_file))
    if sandbox.deployment == "native":
        backend = sandbox.root / "backend"
        # Nothing lies where it would lie without the two.
        assert not (backend / "uploads/products").exists() or not os.listdir(backend / "uploads/products")
        assert not (backend / "storage/invoices").exists()
        assert os.listdir(backend / values["UPLOAD_DIR"] / "products")
        assert os.listdir(backend / values["STORAGE_PATH"] / "invoices")
        return
    given = inspect(sandbox, "miniecom_api")["Config"]["Env"]
    names = {entry.partition("=")[0] for entry in given}
    assert "MONGO_URI" in names
    assert names.isdisjoint({"MONGODB_URI", "UPLOAD_DIR", "STORAGE_PATH", "PORT"})
    assert f"/{FORMER_DATABASE}?" in values["MONGODB_URI"]
    assert FORMER_DATABASE not in values["MONGO_URI"]


def test_the_api_listens_on_all_addresses_of_both_protocols(sandbox: Sandbox) -> None:
    facts = json.loads((sandbox.directory / "sandbox.json").read_text())
    if sandbox.deployment == "native":
        port, pid = facts["ports"]["api"], facts["pids"]["api"]
    else:
        port, pid = 3001, inspect(sandbox, "miniecom_api")["State"]["Pid"]
    lines = Path(f"/proc/{pid}/net/tcp6").read_text().splitlines()[1:]
    listening = {line.split()[1] for line in lines if line.split()[3] == LISTENS}
    assert f"{ANYWHERE}:{port:04X}" in listening


def test_the_api_of_a_native_shop_holds_its_log_open_for_appending(native_sandbox: Sandbox) -> None:
    facts = json.loads((native_sandbox.directory / "sandbox.json").read_text())
    log = native_sandbox.root / "storage/logs/api.log"
    process = Path("/proc", str(facts["pids"]["api"]))
    held = [entry.name for entry in (process / "fd").iterdir() if entry.exists() and entry.samefile(log)]
    assert held
    for name in held:
        flags = int(re.findall(r"flags:\s*([0-7]+)", (process / "fdinfo" / name).read_text())[0], 8)
        assert flags & os.O_APPEND


def test_the_directory_of_the_logs_is_open_to_a_group_and_not_roots(sandbox: Sandbox) -> None:
    found = (sandbox.root / "storage/logs").stat()
    assert stat.S_IMODE(found.st_mode) == 0o775
    if os.geteuid() != 0:
        lacking("root, who alone can give a directory away")
    assert found.st_uid != 0 and found.st_gid != 0, f"none of these users is there: {', '.join(WEB_SERVERS)}"


def test_the_crontab_speaks_of_a_variable_and_its_backup_ends_in_a_rotation(sandbox: Sandbox) -> None:
    text = (sandbox.directory / "cron" / "root").read_text()
    assert text.startswith(f"PROJECT_ROOT={sandbox.root}\n")
    assert "* $PROJECT_ROOT/scripts/backup.sh " in text
    assert "rotate_backups.sh" in (sandbox.root / "scripts/backup.sh").read_text()
    assert "-delete" in (sandbox.root / "scripts/rotate_backups.sh").read_text()


def test_some_documents_do_not_pass_their_validator(database: Any) -> None:
    assert database.command("validate", RULED)["nNonCompliantDocuments"] > 0


def test_an_index_has_another_collation_than_its_collection(database: Any) -> None:
    assert database[COLLATED].options()["collation"]["locale"] == "en"
    own = {index["name"]: index.get("collation") for index in database[COLLATED].list_indexes()}
    assert own["_id_"] is not None
    assert None in own.values(), "the server tells of the simple one by telling nothing"
