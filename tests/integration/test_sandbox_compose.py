# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose sandbox: a real shop in containers, with real trouble on its engine, that leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.compose import Compose, SandboxError
from tests.sandbox.shopfiles import DATABASE

pytestmark = pytest.mark.usefixtures("docker_engine")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory, docker_engine: object) -> Iterator[Compose]:
    compose = Compose(tmp_path_factory.mktemp("compose") / "sandbox", print, megabytes=8)
    try:
        assert compose.up() is True
        yield compose
    finally:
        compose.down()


def age(stamp: str | int) -> timedelta:
    if isinstance(stamp, int):
        moment = datetime.fromtimestamp(stamp, timezone.utc)
    else:
        moment = datetime.fromisoformat(stamp[:19]).replace(tzinfo=timezone.utc)
    return datetime.now(timezone.utc) - moment


def ids(engine_objects: list[dict[str, Any]]) -> set[str]:
    return {found["Id"] for found in engine_objects}


def test_up_again_does_nothing(sandbox: Compose) -> None:
    before = ids(sandbox.engine.api("GET", "/containers/json?all=1"))
    assert Compose(sandbox.directory).up() is False
    assert ids(sandbox.engine.api("GET", "/containers/json?all=1")) == before


def test_the_facts_are_what_the_inventory_reads(sandbox: Compose) -> None:
    facts = json.loads((sandbox.directory / "sandbox.json").read_text())
    assert facts["deployment"] == "compose"
    assert facts["docker_host"] == sandbox.engine.docker_host
    assert set(facts["ports"]) == {"mongo", "api", "frontend"}
    assert (sandbox.directory / "run/docker.sock").is_socket()
    for name in ("state", "record", "cron", "programs"):
        assert (sandbox.directory / name).is_dir()
    assert sandbox.env["MONGO_ROOT_PASSWORD"] not in json.dumps(facts)


def test_the_shop_runs_from_its_own_compose_file(sandbox: Compose) -> None:
    containers = {
        c["Names"][0].lstrip("/"): c
        for c in sandbox.engine.api("GET", "/containers/json")
        if "miniecom" in str(c["Names"])
    }
    assert set(containers) == {"miniecom_mongo", "miniecom_api", "miniecom_frontend"}
    for name, container in containers.items():
        labels = container["Labels"]
        assert labels["com.docker.compose.project"] == "miniecom", name
        assert labels["com.docker.compose.project.config_files"] == str(sandbox.root / "docker-compose.yml")
        assert all(port["IP"] == "127.0.0.1" for port in container["Ports"] if "PublicPort" in port), name
    volumes = {v["Name"] for v in sandbox.engine.api("GET", "/volumes")["Volumes"]}
    assert {"miniecom_mongo_data", "miniecom_mongo_config", "miniecom_api_storage", "miniecom_api_logs"} <= volumes


def test_services_behind_profiles_are_known_and_not_started(sandbox: Compose) -> None:
    services = sandbox.engine.docker("compose", "--profile", "*", "config", "--services", cwd=sandbox.root).split()
    assert set(services) == {"mongo", "api", "frontend", "worker", "nginx", "mongo-express"}


def test_the_shop_is_open_and_its_pages_come(sandbox: Compose) -> None:
    assert sandbox.health()["mongoConnected"] is True
    for port, path in ((sandbox.ports["api"], "/api/products"), (sandbox.ports["frontend"], "/")):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=15) as answer:
            assert answer.status == 200


def test_the_database_wants_a_password(sandbox: Compose) -> None:
    import pymongo
    from pymongo.errors import OperationFailure

    with pymongo.MongoClient("127.0.0.1", sandbox.ports["mongo"], directConnection=True) as client:
        with pytest.raises(OperationFailure) as caught:
            client[DATABASE].users.find_one()
        assert caught.value.code == 13
    with closing(sandbox.client()) as client:
        assert client[DATABASE].orders.count_documents({}) >= 1000
        assert client[DATABASE].audit_logs.count_documents({}) > 40


def test_uploads_are_on_no_volume_and_invoices_are(sandbox: Compose) -> None:
    listing = sandbox.engine.docker("exec", "miniecom_api", "find", "/app/uploads", "/app/storage", "-type", "f")
    assert listing.count("/app/uploads/products/") == 25
    assert listing.count("/app/storage/invoices/") == 15
    volume = sandbox.engine.data_root / "volumes/miniecom_api_storage/_data"
    assert len(list((volume / "invoices").iterdir())) == 15
    assert not (volume.parent / "uploads").exists()
    assert not (sandbox.root / "backend/storage").exists()


def test_the_engine_holds_old_trouble_and_what_must_stay(sandbox: Compose) -> None:
    week = timedelta(days=7)
    made = sandbox.facts["docker_trouble"]
    engine = sandbox.engine
    nameless = ([], None, ["<none>:<none>"])  # as the versions of the API say it
    dangling = {image["Id"]: image for image in engine.api("GET", "/images/json") if image["RepoTags"] in nameless}
    assert all(age(dangling[identity]["Created"]) > week for identity in made["old_images"])
    assert age(dangling[made["keep_images"][0]]["Created"]) < week
    for name in made["old_containers"]:
        state = engine.api("GET", f"/containers/{name}/json")
        assert age(state["Created"]) > week and age(state["State"]["FinishedAt"]) > week
        assert state["State"]["Status"] == "exited" and "com.docker.compose.project" not in state["Config"]["Labels"]
    cache = engine.api("GET", "/system/df")["BuildCache"]
    old = [entry for entry in cache if age(entry["LastUsedAt"]) > week and age(entry["CreatedAt"]) > week]
    assert sum(entry["Size"] for entry in old) >= made["old_cache_bytes"]
    assert any(age(entry["LastUsedAt"]) < week for entry in cache)
    for name in made["keep_volumes"]:
        assert engine.api("GET", f"/volumes/{name}")["Name"] == name
    importer = engine.api("GET", "/containers/old-import-1/json")
    assert [mount["Name"] for mount in importer["Mounts"]] == ["partner_import_1"]


def test_the_docker_command_of_the_sandbox_reaches_its_engine(sandbox: Compose) -> None:
    done = subprocess.run(
        [str(sandbox.directory / "programs/docker"), "compose", "ps", "--services"],
        cwd=sandbox.root,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == {"mongo", "api", "frontend"}


def test_new_trouble_can_be_made(sandbox: Compose) -> None:
    sandbox.renew()
    assert sandbox.facts["rounds"] == 2
    assert sandbox.is_healthy()
    assert sandbox.engine.api("GET", "/containers/old-report-2/json")["State"]["Status"] == "exited"
    # The round before has kept its age and its objects.
    assert age(sandbox.engine.api("GET", "/containers/old-report-1/json")["Created"]) < timedelta(days=60)


def test_after_a_crash_the_shop_comes_back_with_its_data(sandbox: Compose) -> None:
    with closing(sandbox.client()) as client:
        orders = client[DATABASE].orders.count_documents({})
    sandbox.engine.kill()
    again = Compose(sandbox.directory, print)
    assert not again.is_healthy()
    assert again.up() is True
    assert again.is_healthy()
    with closing(again.client()) as client:
        assert client[DATABASE].orders.count_documents({}) == orders


def test_a_directory_that_is_no_sandbox_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data", encoding="ascii")
    for command in (Compose(tmp_path).up, Compose(tmp_path).down):
        with pytest.raises(SandboxError):
            command()
    assert (tmp_path / "precious").read_text(encoding="ascii") == "data"


def test_down_leaves_nothing(sandbox: Compose) -> None:
    sandbox.down()
    assert not sandbox.directory.exists()
    assert sandbox.engine.bridge not in os.listdir("/sys/class/net")
    assert str(sandbox.directory) not in Path("/proc/mounts").read_text()
    assert not sandbox.engine.running
    sandbox.down()
