# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.sandbox import shopfiles
from tests.support.modules import ModuleResult, for_other_users, run_module
from tests.support.sandboxes import Sandbox

AWKWARD = """\
# a comment
SHOP_NAME="Handmade # Harmony"
MOTTO=isn't made by machines
MONGO_URI=mongodb://127.0.0.1:1/ecommerce\r
export MONGODB_URI='mongodb://root:canary%40pass-word@127.0.0.1:27999/first?authSource=admin'
MONGODB_URI="mongodb://root:canary%40pass-word@127.0.0.1:27999/handmade_harmony?authSource=admin"\r
BACKUP_RETENTION_DAYS=30
BACKUP_RETENTION_DAYS=21 # the last one counts\r
BACKUP_DIR='/srv/back ups'
SMTP_PASS="canary-of-smtp #1"
RAZORPAY_KEY_SECRET=canary-of-razorpay
MAX_LOG_SIZE=12M
LOG_RETENTION_DAYS=soon
PORT=4001
"""
CANARIES = ("canary",)


def look(root: Path, **params: Any) -> ModuleResult:
    options = {key: params.pop(key) for key in ("python", "env", "place") if key in params}
    params.setdefault("cron_paths", [str(root / "no-cron")])
    params.setdefault("docker_host", "unix:///nonexistent/docker.sock")
    result = run_module("context_info", {"root": root, "state_dir": root / "state", **params}, **options)
    for canary in CANARIES:
        assert canary not in result.output
    assert not (root / "state").exists()
    return result


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "miniecom"
    (directory / "backend").mkdir(parents=True)
    (directory / "scripts").mkdir()
    (directory / ".env").write_bytes(AWKWARD.encode())
    return directory


def warnings_of(result: ModuleResult) -> str:
    return json.dumps(result.result.get("warnings", []))


# -- the two deployments ----------------------------------------------------------------------------------------------


def test_a_native_shop(native_sandbox: Sandbox) -> None:
    facts = json.loads((native_sandbox.directory / "sandbox.json").read_text())
    docker_host = "unix://%s" % (native_sandbox.directory / "run" / "docker.sock")
    params = {
        "root": native_sandbox.root,
        "docker_host": docker_host,
        "cron_paths": [native_sandbox.directory / "cron"],
    }
    result = run_module("context_info", {**params, "cron_paths": [str(native_sandbox.directory / "cron")]})
    assert not result.failed and not result.changed, result.msg
    found = result.result["context"]
    assert found["deployment"] == "native"
    assert (found["ports"]["api"], found["ports"]["frontend"]) == (facts["ports"]["api"], facts["ports"]["frontend"])
    assert found["mongo"]["address"] == "127.0.0.1:%d" % facts["ports"]["mongo"]
    assert found["mongo"]["database"] == facts["database"] and found["mongo"]["exposed"] == []
    assert found["mongo"]["exposure"] == "loopback", found["mongo"]["exposure_why"]
    assert found["mongo"]["pid"] == facts["pids"]["mongod"] and os.path.samefile(
        found["mongo"]["exe"], "/proc/%d/exe" % facts["pids"]["mongod"]
    )
    assert (Path(found["mongo"]["data_path"]) / "WiredTiger").exists() and found["docker"]["data_root"] == ""
    assert found["api"]["pid"] == facts["pids"]["api"]
    assert found["credentials_quality"] == "strong"
    for name in ("uploads", "invoices", "labels", "backups", "logs"):
        assert found["storage"][name]["exists"] and not found["storage"][name]["in_writable_layer"]
    assert os.listdir(found["storage"]["invoices"]["path"])
    assert found["settings"]["MAX_LOG_SIZE"] == 2 << 20 and found["settings"]["BACKUP_RETENTION_DAYS"] == 14
    assert not found["docker"]["available"] and found["docker"]["reason"] in ("missing", "refused")
    assert found["docker"]["absent"], "a native shop without an engine"
    assert docker_host in found["docker"]["message"]
    with urllib.request.urlopen(found["health_url"], timeout=15) as answer:
        assert json.load(answer)["mongoConnected"] is True
    for secret in native_sandbox.secrets():
        assert secret not in result.output
    # Through a link, as on hosts that deploy by switching one.
    link = native_sandbox.directory / "current-shop"
    link.symlink_to(native_sandbox.root)
    try:
        linked = run_module("context_info", {**params, "root": link, "cron_paths": [str(link)]})
        assert linked.result["context"]["api"]["pid"] == facts["pids"]["api"]
    finally:
        link.unlink()


def test_a_shop_in_containers(compose_sandbox: Sandbox) -> None:
    facts = json.loads((compose_sandbox.directory / "sandbox.json").read_text())
    params = {
        "root": compose_sandbox.root,
        "docker_host": facts["docker_host"],
        "cron_paths": [str(compose_sandbox.directory / "cron")],
    }
    result = run_module("context_info", params)
    assert not result.failed, result.msg
    found = result.result["context"]
    assert found["deployment"] == "compose" and found["docker"]["available"]
    assert found["compose"]["project"] == "miniecom"
    assert found["compose"]["files"] == [str(compose_sandbox.root / "docker-compose.yml")]
    assert {"api", "mongo", "frontend"} <= set(found["compose"]["containers"])
    assert found["mongo"]["address"] == "127.0.0.1:%d" % facts["ports"]["mongo"]
    assert found["mongo"]["hosts"] == ["mongo:27017"] and found["mongo"]["image_id"].startswith("sha256:")
    assert os.path.isdir(found["docker"]["data_root"])
    assert found["mongo"]["data_path"].startswith(found["docker"]["data_root"] + "/volumes/")
    assert found["ports"]["api"] == facts["ports"]["api"]
    assert found["storage"]["uploads"]["in_writable_layer"] and found["storage"]["uploads"]["path"] == ""
    assert found["storage"]["uploads"]["container_path"] == "/app/uploads"
    assert found["storage"]["invoices"]["kind"] == "volume" and os.listdir(found["storage"]["invoices"]["path"])
    with urllib.request.urlopen(found["health_url"], timeout=15) as answer:
        assert json.load(answer)["mongoConnected"] is True
    for secret in compose_sandbox.secrets():
        assert secret not in result.output
    # An engine that does not answer does not make it a native shop: no process of the host is the shop's.
    gone = run_module(
        "context_info", {**params, "docker_host": "unix:///nonexistent/docker.sock", "deployment": "compose"}
    )
    assert gone.result["context"]["deployment"] == "compose"
    assert gone.result["context"]["mongo"]["address"] == "" or gone.result["context"]["mongo"]["address"].startswith(
        "127."
    )
    assert "no Docker Engine answers" in warnings_of(gone)


# -- bad input --------------------------------------------------------------------------------------------------------


def test_a_host_without_a_shop_is_refused(tmp_path: Path) -> None:
    for directory, part in ((tmp_path / "nothing", "no MiniEcom on this host"), (tmp_path, "is no MiniEcom")):
        result = look(directory)
        assert result.failed and part in result.msg and "miniecom_root" in result.msg


def test_an_environment_file_that_is_missing_or_no_file(root: Path) -> None:
    missing = look(root, env_file=root / "other.env")
    assert missing.failed and "other.env" in missing.msg and "miniecom_env_file" in missing.msg
    directory = look(root, env_file=root / "backend")
    assert directory.failed and "EISDIR" in directory.msg


def test_an_environment_file_of_another_user(root: Path) -> None:
    python = "/usr/bin/python3"
    if os.geteuid() != 0 or not os.path.exists(python) or not shutil.which("setpriv"):
        lacking("other users: needs root, setpriv and a system Python")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        shop = Path(place) / "miniecom"
        shutil.copytree(root, shop)
        (shop / ".env").chmod(0o600)
        as_nobody = Path(place) / "python"
        as_nobody.write_text('#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups %s "$@"\n' % python)
        as_nobody.chmod(0o755)
        collection = for_other_users(Path(place))
        refused = look(shop, python=as_nobody, place=collection)
        assert refused.failed and "EACCES" in refused.msg and "become: true" in refused.msg
        (shop / ".env").chmod(0o644)
        allowed = look(shop, python=as_nobody, place=collection, cron_paths=["/root"])
        assert not allowed.failed, allowed.msg
        assert "not looked at for scheduled jobs" in warnings_of(allowed)
        assert allowed.result["context"]["jobs_unreadable"] == ["/root (EACCES)"]


def test_awkward_quoting_duplicates_and_line_ends(root: Path) -> None:
    result = look(root)
    assert not result.failed, result.msg
    found = result.result["context"]
    assert found["mongo"]["database"] == "handmade_harmony" and found["mongo"]["source"] == "MONGODB_URI"
    assert found["settings"]["BACKUP_RETENTION_DAYS"] == 21 and found["settings"]["MAX_LOG_SIZE"] == 12 << 20
    assert found["settings"]["LOG_RETENTION_DAYS"] == 30 and "LOG_RETENTION_DAYS" in warnings_of(result)
    assert found["storage"]["backups"]["path"] == "/srv/back ups"
    assert not any("PASS" in key or "SECRET" in key for key in found["settings"])


def test_an_environment_file_without_a_database(root: Path) -> None:
    (root / ".env").write_text("PORT=4001\n")
    result = look(root)
    assert not result.failed and "neither MONGODB_URI nor MONGO_URI" in warnings_of(result)
    assert result.result["context"]["mongo"]["address"] == ""
    assert result.result["context"]["credentials_quality"] == "none"


# -- processes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(root: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process in the API's place that listens on a port of its own choice."""
    code = (
        "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen();"
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=root / "backend", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    yield process, port
    process.kill()
    process.communicate()


def test_what_listens_counts_more_than_what_is_written(root: Path, api: tuple[subprocess.Popen[bytes], int]) -> None:
    process, port = api
    idle = subprocess.Popen(["sleep", "600"], cwd=root / "backend")  # somebody's shell left there
    try:
        found = look(root).result["context"]
    finally:
        idle.kill()
        idle.wait()
    assert found["deployment"] == "native" and str(process.pid) in found["why"]
    assert found["api"]["pid"] == process.pid
    assert found["ports"]["api"] == port != 4001
    assert found["health_url"] == "http://127.0.0.1:%d/api/health" % port


def test_what_the_process_was_given_decides_and_not_the_file(root: Path) -> None:
    """As systemd and pm2 do it: dotenv never overwrites what is set."""
    storage = root.parent / "elsewhere"
    (storage / "invoices").mkdir(parents=True)
    (root / "backend" / "pictures").mkdir()
    given = {
        "MONGODB_URI": "mongodb://shop:canary-of-the-process@127.0.0.1:27999/live_shop",
        "UPLOAD_DIR": "./pictures",
        "STORAGE_PATH": str(storage),
        "PATH": os.environ["PATH"],
    }
    server = "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print(flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", server],
        cwd=root / "backend",
        env=given,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None and process.stdout.readline()
        result = look(root)
    finally:
        process.kill()
        process.communicate()
    found = result.result["context"]
    assert found["mongo"]["database"] == "live_shop"
    assert found["env_from"].startswith("process:%d:" % process.pid)
    assert [other["database"] for other in found["mongo"]["others"]] == ["handmade_harmony"]
    for text in (found["mongo"]["conflict"], warnings_of(result), result.result["summary"]["headline"]):
        assert "live_shop" in text and "handmade_harmony" in text
    assert found["storage"]["uploads"]["path"] == str(root / "backend" / "pictures")
    assert found["storage"]["invoices"]["path"] == str(storage / "invoices") and found["storage"]["invoices"]["exists"]
    assert found["settings"]["BACKUP_RETENTION_DAYS"] == 21, "what the shop's scripts read stays the file"


def test_a_name_of_the_compose_network_in_a_native_shop(root: Path, mongod: Any) -> None:
    (root / ".env").write_text("MONGO_URI=mongodb://root:canary-x-y-z@mongo:%d/shop\n" % mongod.port)
    found = look(root, deployment="native").result["context"]
    assert found["mongo"]["address"] == mongod.address
    assert found["mongo"]["pid"] == mongod.pid


# -- the shop's own jobs ----------------------------------------------------------------------------------------------


def test_dangerous_jobs_in_crontabs_and_timers(root: Path, tmp_path: Path) -> None:
    cron = tmp_path / "cron"
    for directory in ("cron.d", "cron.weekly", "crontabs", "systemd/timers.target.wants"):
        (cron / directory).mkdir(parents=True)
    (cron / "crontabs" / "deploy").write_text(
        "# 0 1 * * * %(root)s/scripts/rotate_backups.sh\nMAILTO=ops\n"
        "0 3 * * 0 cd %(root)s && ./scripts/run_maintenance_tasks.sh\n"
        "0 6 * * * BACKUP_PASSPHRASE=canary-in-cron %(root)s/scripts/disk_alert.sh >> %(root)s/storage/logs/cron.log 2>&1\n"
        "5 6 * * * /usr/local/bin/backup.sh\n" % {"root": root}
    )
    (cron / "cron.d" / "shop").write_text("@daily root docker system prune -f --volumes\n")
    (cron / "cron.d" / "shop.disabled").write_text("@daily root %s/scripts/rotate_backups.sh\n" % root)
    weekly = cron / "cron.weekly" / "tidy"
    weekly.write_text("#!/bin/sh\nfind %s/storage/backups -mtime +7 -delete\n" % root)
    weekly.chmod(0o755)
    (root / "scripts" / "clean.sh").write_text("#!/bin/sh\n# docker image prune\n./scripts/rotate_backups.sh\n")
    for name in ("clean", "idle"):
        (cron / "systemd" / (name + ".timer")).write_text("[Timer]\nOnCalendar=Sun 03:00\n")
        (cron / "systemd" / (name + ".service")).write_text(
            "[Service]\nUser=deploy\nWorkingDirectory=%s\nExecStart=/bin/sh scripts/clean.sh\n" % root
        )
    (cron / "systemd" / "timers.target.wants" / "clean.timer").symlink_to("../clean.timer")
    result = look(root, cron_paths=[str(cron), str(cron / "systemd")])
    found = result.result["context"]
    told = {(Path(job["source"]).name, job["line"]): job for job in found["jobs"]}
    assert told[("deploy", 3)]["kind"] == "run_maintenance_tasks.sh" and told[("deploy", 3)]["user"] == "deploy"
    assert told[("deploy", 3)]["dangers"] == ["deletes_backups", "prunes_docker"]
    assert told[("deploy", 4)]["kind"] == "disk_alert.sh"
    assert told[("shop", 1)]["danger"] == "prunes_docker" and told[("shop", 1)]["schedule"] == "@daily"
    assert told[("tidy", 0)]["danger"] == "deletes_backups" and told[("tidy", 0)]["active"]
    assert not told[("shop.disabled", 1)]["active"], "cron passes over names with a dot"
    assert told[("clean.timer", 0)]["active"] and not told[("idle.timer", 0)]["active"]
    assert told[("clean.timer", 0)]["user"] == "deploy" and told[("clean.timer", 0)]["danger"] == "deletes_backups"
    assert len(told) == 7, "neither the comment nor another program's backup.sh"
    assert len(found["blocking_jobs"]) == 4
    assert "5 dangerous jobs" in result.result["summary"]["headline"]


def test_the_habits_that_the_shop_ships_are_seen(root: Path, tmp_path: Path) -> None:
    # The shop sets BACKUP_DIR in its own file; here it is the directory that its scripts choose by themselves.
    (root / ".env").write_text("MONGO_URI=mongodb://127.0.0.1:1/handmade_harmony\nSMTP_PASS=canary-of-smtp\n")
    for name, text in shopfiles.HABITS.items():
        (root / "scripts" / (name + ".sh")).write_text(text)
    cron = tmp_path / "cron"
    (cron / "crontabs").mkdir(parents=True)
    (cron / "crontabs" / "deploy").write_text(
        shopfiles.crontab(root)
        + "5 4 * * * cd $PROJECT_ROOT && MONGO_PASS=canary-in-cron ./bin/sweeper --password canary-in-cron\n"
        + "5 5 * * * tar czf /mnt/backups.tgz $PROJECT_ROOT/storage/backups\n"
        + "5 6 * * * find /mnt/dumps/shop -mtime +3 -delete\n"
    )
    result = look(root, cron_paths=[str(cron)])
    found = result.result["context"]
    told = {job["line"]: job for job in found["jobs"]}
    assert told[2]["kind"] == "backup.sh, rotate_backups.sh, find -delete"
    assert told[2]["dangers"] == ["deletes_backups", "leaves_readable_backups"]
    assert told[4]["dangers"] == told[6]["dangers"] == ["deletes_backups", "prunes_docker"]
    assert told[5]["dangers"] == ["restarts_services"]
    assert told[8]["dangers"] == ["unknown"] and told[8]["kind"] == "sweeper"
    assert set(told) == {2, 4, 5, 6, 8}, "neither collecting logs, the audit nor copying the directory is dangerous"
    source = cron / "crontabs" / "deploy"
    assert found["blocking_jobs"] == ["%s:%d (%s)" % (source, line, told[line]["kind"]) for line in (2, 4, 6)]
    assert result.result["summary"]["dangerous_jobs"] == 4 and result.result["summary"]["unknown_jobs"] == 1
    assert "4 dangerous jobs" in result.result["summary"]["headline"]
    assert "1 scheduled job near it not understood" in result.result["summary"]["headline"]
    # Where the shop keeps its backups is what its settings say.
    (root / ".env").write_text("MONGO_URI=mongodb://127.0.0.1:1/shop\nBACKUP_DIR=/mnt/dumps/shop\n")
    moved = {job["line"]: job for job in look(root, cron_paths=[str(cron)]).result["context"]["jobs"]}
    assert moved[10]["danger"] == "deletes_backups"


def test_on_the_oldest_python(root: Path, old_python: Path) -> None:
    result = look(root, python=old_python)
    assert not result.failed, result.msg
    assert result.result["context"]["libraries"]["python"].startswith("3.8")


def test_without_any_library(root: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    # Where no engine is there nothing is said of the library: nobody needs it.
    engine = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(engine))
        result = look(root, python=bare / "bin" / "python", docker_host=f"unix://{engine}")
    assert not result.failed, result.msg
    assert result.result["context"]["libraries"]["docker"] == ""
    assert result.result["context"]["docker"]["reason"] == "library"
    assert "docker" in result.result["context"]["docker"]["message"]


def test_inside_a_run_it_renews_the_lease(root: Path, tmp_path: Path) -> None:
    state = tmp_path / "run-state"
    run_id = run_module("maintenance_run", {"state": "begun", "state_dir": state}).result["run_id"]
    params = {"root": root, "state_dir": state, "run_id": run_id, "docker_host": "unix:///nonexistent/docker.sock"}
    result = run_module("context_info", {**params, "cron_paths": []})
    assert not result.failed, result.msg
    ended = run_module("maintenance_run", {"state": "ended", "state_dir": state, "run_id": run_id})
    told = [event.get("summary") or {} for event in ended.result["record"]["events"]]
    assert result.result["summary"]["headline"] in [summary.get("headline") for summary in told]


def test_a_port_that_is_not_free_is_no_matter(root: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        found = look(root, deployment="native").result["context"]
    assert found["ports"]["api"] == 4001 and found["api"]["pid"] is None
