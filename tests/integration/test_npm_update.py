# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""npm_audit with fix, update and install: the real npm, a registry of our own with real packages, and scripts that do harm if they can."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.sandbox.engine import Engine
from tests.sandbox.image import SYSTEMD_RUN_ARGUMENTS, systemd_image
from tests.sandbox.mongod import free_port
from tests.support.modules import ModuleResult, for_other_users, run_module
from tests.support.npm_registry import NpmRegistry
from tests.support.playbooks import PlaybookRun, run_playbook

ADVISORY = {
    "id": 1106913,
    "url": "https://github.com/advisories/GHSA-35jh-r3h4-6jhm",
    "title": "Command Injection in leftpad",
    "severity": "high",
    "vulnerable_versions": "<1.2.0",
    "cwe": ["CWE-77"],
    "cvss": {"score": 7.2, "vectorString": None},
}
CANARY = "canary-registry-token-4417"
# What the project's test says of where it runs; it passes with each version unless something is broken.
PROBE = """\
const fs = require('fs'), os = require('os'), net = require('net');
const seen = {uid: process.getuid(), version: require('leftpad'), env: fs.existsSync('.env'), npmrc: fs.existsSync('.npmrc')};
seen.secrets = JSON.stringify(process.env).includes('canary') || fs.existsSync(os.homedir() + '/.npmrc');
for (const path of [%(marks)s]) { try { fs.writeFileSync(path, 'x'); seen.wrote = path; } catch (error) {} }
const socket = net.connect(%(port)d, '127.0.0.1');
socket.on('connect', () => { seen.network = true; end(); });
socket.on('error', () => { seen.network = false; end(); });
function end() {
  if (fs.existsSync('broken-' + seen.version)) { console.error('the till does not add up'); process.exit(1); }
  if (seen.uid === 0 || seen.env || seen.npmrc || seen.secrets || seen.wrote || seen.network) {
    console.error('NOT KEPT: ' + JSON.stringify(seen)); process.exit(1);
  }
  process.exit(0);
}
"""


@pytest.fixture(scope="module", autouse=True)
def npm() -> None:
    if not shutil.which("npm"):
        lacking("npm: no npm program on the PATH")
    if os.geteuid() != 0:
        lacking("root: only root can keep a script from the network")


class World:
    """A project, and the registry that its packages come from."""

    def __init__(self, registry: NpmRegistry, directory: Path) -> None:
        self.registry, self.directory = registry, directory
        self.project, self.state = directory / "backend", directory / "state"
        self.marks, self.work = directory / "marks", directory / "work"
        self.url = self.path = ""

    @property
    def lock(self) -> Path:
        return self.project / "package-lock.json"

    def versions(self) -> dict[str, str]:
        packages = json.loads(self.lock.read_text())["packages"]
        return {place.removeprefix("node_modules/"): about["version"] for place, about in packages.items() if place}

    def run(self, **more: Any) -> ModuleResult:
        options = {key: more.pop(key) for key in ("check", "diff", "env") if key in more}
        params = {
            "path": str(self.project),
            "state_dir": str(self.state),
            "work_dir": str(self.work),
            "_ansible_verbosity": 3,
            **more,
        }
        result = run_module("npm_audit", params, **options)
        assert CANARY not in result.output
        return result

    def tree(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.project.rglob("*") if path.is_file()}


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that a user without rights can come to."""
    directory = Path(tempfile.mkdtemp(prefix="miniecom-test-", dir="/var/tmp"))
    directory.chmod(0o755)
    (directory / "work").mkdir()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def world(place: Path) -> Iterator[World]:
    tmp_path = place
    with NpmRegistry() as registry:
        for version in ("1.0.0", "1.1.0", "1.2.0", "2.0.0"):
            registry.publish("leftpad", version, {"index.js": f"module.exports = '{version}';"})
        for version in ("1.0.0", "1.0.1", "2.0.0"):
            registry.publish("star", version)
        evil = {"preinstall": f"touch {tmp_path}/marks/script", "postinstall": f"touch {tmp_path}/marks/script"}
        registry.publish("wrapper", "1.0.0", dependencies={"leftpad": "^1.0.0"})
        registry.publish("wrapper", "1.0.1", dependencies={"leftpad": "^1.0.0"}, scripts=evil)
        registry.advisories = {"leftpad": [ADVISORY]}
        made = World(registry, tmp_path)
        made.marks.mkdir(mode=0o777)
        made.marks.chmod(0o777)
        made.project.mkdir()
        own = {
            "name": "shop",
            "version": "1.0.0",
            "dependencies": {"wrapper": "^1.0.0", "leftpad": "^1.0.0", "star": "*"},
        }
        scripts = {"build": "node build.js", "test": "node test.js", "pretest": f"touch {tmp_path}/marks/pretest"}
        (made.project / "package.json").write_text(json.dumps({**own, "scripts": scripts}))
        packages = {name: registry.lock_entry(name, "1.0.0") for name in ("leftpad", "star", "wrapper")}
        places = {f"node_modules/{name}": entry for name, entry in packages.items()}
        lock = {"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "requires": True}
        made.lock.write_text(json.dumps({**lock, "packages": {"": own, **places}}, indent=2))
        made.lock.chmod(0o640)
        marks = ", ".join(json.dumps(str(path)) for path in (made.marks / "wrote", made.project / "wrote"))
        (made.project / "test.js").write_text(PROBE % {"marks": marks, "port": registry.server_port})
        (made.project / "build.js").write_text(
            "const fs = require('fs'); fs.mkdirSync('dist', {recursive: true}); fs.writeFileSync('dist/app', require('leftpad'));"
        )
        (made.project / ".env").write_text(f"MONGO_URI=mongodb://u:{CANARY}@127.0.0.1/shop\n")
        host = registry.address.removeprefix("http:")
        (made.project / ".npmrc").write_text(f"registry={registry.address}\n{host}:_authToken={CANARY}\n")
        yield made
        assert list(made.marks.iterdir()) == [], "a script ran that must not, or wrote where it must not"
        assert list(made.work.iterdir()) == [], "a copy was left behind"


def good(result: ModuleResult) -> dict[str, Any]:
    assert not result.failed, result.msg
    return result.result


def test_what_semantic_versioning_allows_is_tried_put_in_place_and_gone_back_from(world: World) -> None:
    before = world.tree()
    checked = good(world.run(update="minor", check=True, diff=True))
    assert world.tree() == before and not world.state.exists()
    assert checked["changed"] is True
    assert {(item["name"], item["before"], item["after"]) for item in checked["versions"]} == {
        ("leftpad", "1.0.0", "1.2.0"),
        ("wrapper", "1.0.0", "1.0.1"),
    }
    assert "node_modules/leftpad 1.2.0" in checked["diff"]["after"]
    assert any(kept["target"] == "star" and "major" in kept["reason"] for kept in checked["kept"])

    done = good(world.run(update="minor"))
    assert done["plan"] == checked["plan"] and done["versions"] == checked["versions"]
    assert world.versions() == {"leftpad": "1.2.0", "star": "1.0.0", "wrapper": "1.0.1"}
    assert "install, build, test passed" in done["actions"][0]["note"]
    assert [item["status"] for item in done["findings"]] == ["fixed"] and done["summary"]["findings_fixed"] == 1
    changed = {path for path in before if world.tree().get(path) != before[path]}
    assert changed == {str(world.lock)} and set(world.tree()) == set(before)
    assert world.lock.stat().st_mode & 0o777 == 0o640
    again = good(world.run(update="minor", fix=True))
    assert again["changed"] is False and "nothing to update" in again["summary"]["headline"]

    undo = done["undo_id"]
    assert good(world.run(undo=undo, check=True))["changed"] is True and world.tree() != before
    assert good(world.run(undo=undo))["changed"] is True and world.tree() == before
    assert good(world.run(undo=undo))["changed"] is False
    good(world.run(update="minor"))
    world.lock.write_text(world.lock.read_text() + "\n")
    left = good(world.run(undo=undo))
    assert left["changed"] is False and "changed since" in left["kept"][0]["reason"]
    unknown = world.run(undo="20260101T000000Z-ffffff")
    assert unknown.failed and unknown.result["nothing_to_undo"] is True


def test_fix_updates_what_is_vulnerable_and_nothing_else(world: World) -> None:
    checked = good(world.run(fix=True, check=True))
    assert [item["name"] for item in checked["versions"]] == ["leftpad"]
    done = good(world.run(fix=True))
    assert world.versions() == {"leftpad": "1.2.0", "star": "1.0.0", "wrapper": "1.0.0"}
    assert done["summary"]["findings_total"] == 0 and "1 version updated" in done["summary"]["headline"]


def test_a_registry_without_audits_fixes_nothing_and_says_so(world: World) -> None:
    world.registry.status = 405
    before = world.tree()
    refused = world.run(fix=True)
    assert refused.failed and "without an audit nobody knows" in refused.msg and "405" in refused.msg
    assert world.tree() == before and refused.result["audit"]["available"] is False
    # What needs no audit is done, and the rest still said.
    both = world.run(fix=True, update="minor")
    assert both.failed and both.result["changed"] is True and world.versions()["leftpad"] == "1.2.0"
    assert "audit not available" in both.result["summary"]["headline"]


@pytest.mark.parametrize(
    ("breakage", "words"),
    [
        ("test", "the till does not add up"),
        ("build", "the project's build fails"),
        ("tarball", "the dependencies cannot be installed"),
        ("content", "another content for a version"),
    ],
)
def test_what_does_not_pass_in_the_copy_changes_nothing(world: World, breakage: str, words: str) -> None:
    if breakage == "test":
        (world.project / "broken-1.2.0").touch()
    elif breakage == "build":
        (world.project / "build.js").write_text("if (require('leftpad') !== '1.0.0') process.exit(3);")
    elif breakage == "tarball":
        world.registry.tarballs["/leftpad/-/leftpad-1.2.0.tgz"] = b"something else"
    else:
        dist = world.registry.packages["star"]["1.0.0"]["dist"]
        lock = json.loads(world.lock.read_text())
        lock["packages"]["node_modules/star"]["integrity"] = "sha512-" + "A" * 86 + "=="
        world.lock.write_text(json.dumps(lock))
        assert dist["integrity"] != lock["packages"]["node_modules/star"]["integrity"]
        words = ""
    before = world.tree()
    result = world.run(update="minor")
    assert result.failed and words in result.msg, result.msg
    assert world.tree() == before and "defect" not in result.msg


def test_what_cannot_be_tried_is_refused(world: World) -> None:
    package = json.loads((world.project / "package.json").read_text())
    before = world.lock.read_bytes()
    for params, words in (
        ({"scripts": ["e2e"]}, "no such script: e2e"),
        ({"user": "root"}, "must not be run by root"),
        ({"user": "nobody-of-that-name"}, "no such user"),
        ({"install": True}, "nobody would notice"),
        ({"undo": "x"}, "undo goes alone"),
        ({"env": {"PATH": "/nonexistent"}}, "no npm on this host"),
    ):
        refused = world.run(update="minor", **params)
        assert refused.failed and words in refused.msg, refused.msg
    placeholder = 'echo "Error: no test specified" && exit 1'
    (world.project / "package.json").write_text(json.dumps({**package, "scripts": {"test": placeholder}}))
    refused = world.run(update="minor")
    assert refused.failed and "nothing shows whether the project works" in refused.msg
    assert world.lock.read_bytes() == before
    assert good(world.run(update="minor", scripts=[], check=True))["changed"] is True
    world.lock.unlink()
    refused = world.run(update="minor")
    assert refused.failed and "no lock file" in refused.msg


def test_a_lock_file_that_is_changed_while_it_is_tried_stays(world: World) -> None:
    # The build of the copy cannot write there; somebody else does, the moment its tests begin.
    fake = world.directory / "npm"
    real = shutil.which("npm")
    fake.write_text(f'#!/bin/sh\n[ "$1 $2" = "ci --ignore-scripts" ] && echo >> {world.lock}\nexec {real} "$@"\n')
    fake.chmod(0o755)
    world.lock.chmod(0o666)
    result = good(world.run(update="minor", npm=str(fake)))
    assert result["changed"] is False and "changed meanwhile" in result["actions"][0]["note"]
    assert world.versions()["leftpad"] == "1.0.0"


SERVER = """\
const fs = require('fs'), version = require('leftpad');
fs.writeFileSync('%(pid)s', String(process.pid));
const well = !fs.existsSync('%(refused)s-' + version);
require('http').createServer((request, answer) => {
  answer.writeHead(well ? 200 : 500, {'Content-Type': 'application/json'});
  answer.end(JSON.stringify({status: 'ok', mongoConnected: true, version}));
}).listen(%(port)d, '127.0.0.1');
"""
# Stands for systemd, of which the machine may have none: it starts the API anew and waits for it.
SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> %(place)s/restarts
[ -s %(place)s/pid ] && kill "$(cat %(place)s/pid)"; rm -f %(place)s/pid
cd %(project)s && setsid node server.js > /dev/null 2>&1 < /dev/null &
while ! [ -s %(place)s/pid ]; do sleep 0.05; done
"""


@pytest.fixture
def native(world: World) -> Iterator[World]:
    """The project is a shop that runs from its directory."""
    del world.registry.packages["wrapper"]["1.0.1"]
    place, port = world.directory, free_port()
    facts = {"pid": place / "pid", "refused": place / "refused", "port": port}
    (world.project / "server.js").write_text(SERVER % facts)
    (place / "bin").mkdir()
    (place / "bin/systemctl").write_text(SYSTEMCTL % {"place": place, "project": world.project})
    (place / "bin/systemctl").chmod(0o755)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit"], cwd=world.project, check=True, capture_output=True)
    (world.project / "dist").mkdir()
    (world.project / "dist/app").write_text("built before")
    world.url = f"http://127.0.0.1:{port}/api/health"
    world.path = f"{place}/bin:{os.environ['PATH']}"
    subprocess.run([str(place / "bin/systemctl"), "first"], check=True)
    wait_for(lambda: health(world) is not None)
    yield world
    os.kill(int((place / "pid").read_text()), signal.SIGKILL)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def health(world: World) -> str | None:
    try:
        with urllib.request.urlopen(world.url, timeout=5) as answer:
            return str(json.load(answer)["version"])
    except urllib.error.HTTPError:
        return "ill"
    except OSError:
        return None


def install(world: World, **more: Any) -> ModuleResult:
    given = {"services": ["miniecom-api"], "probe_url": world.url, "patience": "4s", "steady": "0s", **more}
    return world.run(update="minor", install=True, env={"PATH": world.path}, **given)


def installed(world: World) -> tuple[str, str, str | None]:
    version = json.loads((world.project / "node_modules/leftpad/package.json").read_text())["version"]
    return version, (world.project / "dist/app").read_text(), health(world)


def test_a_native_shop_runs_from_what_was_tried_and_goes_back(native: World) -> None:
    before = native.lock.read_bytes()
    assert installed(native) == ("1.0.0", "built before", "1.0.0")
    os.chown(native.project / "node_modules", 12345, 12345)
    checked = good(install(native, check=True))
    assert (
        installed(native) == ("1.0.0", "built before", "1.0.0")
        and checked["plan"][0]["action"] == "install_dependencies"
    )
    done = good(install(native))
    assert installed(native) == ("1.2.0", "1.2.0", "1.2.0") and native.versions()["leftpad"] == "1.2.0"
    assert "restart miniecom-api.service" in (native.directory / "restarts").read_text()
    assert (native.project / "node_modules/leftpad").stat().st_uid == 12345
    assert good(install(native))["changed"] is False
    back = good(native.run(undo=done["undo_id"], env={"PATH": native.path}))
    assert back["changed"] is True and native.lock.read_bytes() == before
    assert installed(native) == ("1.0.0", "built before", "1.0.0")
    assert not (native.project / ".miniecom-npm").exists()


def test_a_native_shop_that_is_not_well_goes_back_by_itself(native: World) -> None:
    before = native.lock.read_bytes()
    # What makes something of itself when it is installed cannot be put in place without that.
    native.registry.publish("wrapper", "1.0.2", scripts={"install": f"touch {native.marks}/script"})
    refused = install(native)
    assert refused.failed and "need a script to be run" in refused.msg and "wrapper 1.0.2" in refused.msg
    assert native.lock.read_bytes() == before
    del native.registry.packages["wrapper"]["1.0.2"]
    (native.directory / "refused-1.2.0").touch()
    failed = install(native)
    assert failed.failed and failed.result["rolled_back"] is True and "the shop is well" in failed.msg, failed.msg
    assert installed(native) == ("1.0.0", "built before", "1.0.0") and native.lock.read_bytes() == before
    assert not (native.project / ".miniecom-npm").exists()
    # One that is not well before is not touched at all.
    (native.directory / "refused-1.0.0").touch()
    subprocess.run([str(native.directory / "bin/systemctl"), "again"], check=True)
    wait_for(lambda: health(native) == "ill")
    refused = install(native)
    assert refused.failed and "not well as it is" in refused.msg and native.lock.read_bytes() == before


def test_a_native_update_that_is_killed_is_taken_back(native: World) -> None:
    before = native.lock.read_bytes()
    real = native.directory / "bin/systemctl"
    working = real.read_text()
    real.write_text("#!/bin/sh\nkill -9 $PPID\n")
    assert install(native).rc != 0 and native.versions()["leftpad"] == "1.2.0"
    real.write_text(working)
    begun = run_module(
        "maintenance_run",
        {"state": "begun", "name": "after", "owner": "test", "state_dir": str(native.state)},
        env={"PATH": native.path},
    )
    assert not begun.failed and "put back the dependencies of before" in str(begun.result["cleaned"]), begun.output
    assert installed(native) == ("1.0.0", "built before", "1.0.0") and native.lock.read_bytes() == before
    for copy in native.work.iterdir():
        pytest.fail(f"the killed call's copy {copy} was not cleared away")


# A unit as a shop has it: with a user of its own, and started anew whenever it ends.
UNIT = """\
[Unit]
Description=The shop's API
[Service]
User=nobody
WorkingDirectory=%(project)s
ExecStart=/usr/bin/node server.js
Restart=always
RestartSec=200ms
[Install]
WantedBy=multi-user.target
"""
CRASH = """\
if (fs.existsSync('%(refused)s-crash-' + version)) process.exit(3);
"""


class Booted:
    """A container that boots systemd, in which the shop of a world runs, and the module."""

    def __init__(self, engine: Engine, world: World) -> None:
        self.engine, self.world, self.name = engine, world, "npm-booted"
        checkout = for_other_users(world.directory)
        npm = os.path.realpath(str(shutil.which("npm"))).partition("/bin/")[0]
        mounts = {
            str(world.directory): str(world.directory),
            str(checkout): "/checkout:ro",
            os.path.realpath(str(shutil.which("node"))): "/usr/bin/node:ro",
            npm: "/usr/lib/node_modules/npm:ro",
        }
        volumes = [part for source, target in mounts.items() for part in ("--volume", f"{source}:{target}")]
        # The registry and the shop's port are the machine's, so no service of the image may take another one. Root may make
        # networks here as on any host: a script is tried in one of its own.
        own = ("--network", "host", "--cap-add", "NET_ADMIN")
        self.engine.docker("create", "--name", self.name, *own, *SYSTEMD_RUN_ARGUMENTS, *volumes, systemd_image(engine))

    def up(self) -> None:
        place = self.world.directory / "etc"
        wanted = place / "systemd/system/multi-user.target.wants"
        wanted.mkdir(parents=True)
        for name in ("ssh.service", "ssh.socket", "cron.service"):
            (place / "systemd/system" / name).symlink_to("/dev/null")
        (place / "systemd/system/miniecom-api.service").write_text(UNIT % {"project": self.world.project})
        (wanted / "miniecom-api.service").symlink_to("../miniecom-api.service")
        self.engine.docker("cp", f"{place}/.", f"{self.name}:/etc")
        self.engine.docker("start", self.name)
        self.sh("ln -s /usr/lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm")
        wait_for(lambda: health(self.world) == "1.0.0")

    def sh(self, command: str) -> str:
        return self.engine.docker("exec", self.name, "sh", "-ec", command)

    def unit(self) -> dict[str, str]:
        shown = self.sh("systemctl show --property=MainPID,ActiveState,NRestarts,ExecMainStartTimestamp miniecom-api")
        return dict(line.split("=", 1) for line in shown.splitlines())

    def run(self, **params: Any) -> ModuleResult:
        given = {
            "path": str(self.world.project),
            "state_dir": str(self.world.state),
            "work_dir": str(self.world.work),
            "services": ["miniecom-api"],
            "probe_url": self.world.url,
            # A busy machine takes a while to start node.
            "patience": "10s",
            "steady": "1s",
            **params,
        }
        done = subprocess.run(
            [
                *("docker", "exec", "-i", self.name, "env", "PYTHONDONTWRITEBYTECODE=1"),
                "PYTHONPATH=/checkout/.cache/ansible-package:/checkout/collections",
                *("/usr/bin/python3", "/checkout/tests/support/module_process.py", "npm_audit"),
            ],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": given}),
            env=self.engine.environment(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.stdout.strip().startswith("{"), done.stdout + done.stderr
        return ModuleResult(done.returncode, json.loads(done.stdout), done.stdout, done.stderr)


@pytest.fixture
def booted(world: World, docker_engine: Engine) -> Iterator[Booted]:
    del world.registry.packages["wrapper"]["1.0.1"]
    port = free_port()
    facts = {"pid": "/dev/null", "refused": world.directory / "refused", "port": port}
    lines = (SERVER % facts).splitlines(keepends=True)
    (world.project / "server.js").write_text("".join([lines[0], CRASH % facts, *lines[1:]]))
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit"], cwd=world.project, check=True, capture_output=True)
    (world.project / "dist").mkdir()
    (world.project / "dist/app").write_text("built before")
    world.url = f"http://127.0.0.1:{port}/api/health"
    found = Booted(docker_engine, world)
    try:
        found.up()
        yield found
    finally:
        docker_engine.docker("rm", "--force", "--volumes", found.name)


def test_systemd_restarts_a_native_shop_and_it_goes_back_where_it_is_not_well(booted: Booted) -> None:
    world, wanted = booted.world, {"update": "minor", "install": True}
    before, unit = world.lock.read_bytes(), booted.unit()
    assert unit["ActiveState"] == "active" and installed(world) == ("1.0.0", "built before", "1.0.0")
    # One answers that it is ill; the other ends at once, again and again, while systemd calls its restart done.
    for trouble in ("refused-1.2.0", "refused-crash-1.2.0"):
        (world.directory / trouble).touch()
        failed = booted.run(**wanted)
        assert failed.failed and failed.result.get("rolled_back") is True and "the shop is well" in failed.msg, (
            failed.msg
        )
        assert installed(world) == ("1.0.0", "built before", "1.0.0") and world.lock.read_bytes() == before
        found = booted.unit()
        assert found["ActiveState"] == "active" and found["MainPID"] != unit["MainPID"]
        (world.directory / trouble).unlink()
        unit = found

    done = good(booted.run(**wanted))
    assert installed(world) == ("1.2.0", "1.2.0", "1.2.0") and world.versions()["leftpad"] == "1.2.0"
    assert booted.unit()["MainPID"] != unit["MainPID"]
    assert good(booted.run(**wanted))["changed"] is False
    # It comes up with them after a boot as well.
    booted.engine.docker("restart", booted.name)
    wait_for(lambda: health(world) == "1.2.0")
    assert good(booted.run(undo=done["undo_id"]))["changed"] is True
    assert installed(world) == ("1.0.0", "built before", "1.0.0") and world.lock.read_bytes() == before


ROLE = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: miniecom.maintenance.app_update
        tasks_from: "{{ entry }}"
"""


def test_the_role_updates_and_gives_back(world: World, tmp_path: Path) -> None:
    play, before = tmp_path / "play.yml", world.lock.read_bytes()
    play.write_text(ROLE)

    def role(entry: str, *arguments: str, **variables: Any) -> PlaybookRun:
        given = {
            "entry": entry,
            "context_root": str(world.directory),
            "context_state_dir": str(world.state),
            "context_result": {"context": {"deployment": "compose", "health_url": ""}},
            "app_update_npm_projects": [str(world.project)],
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            **variables,
        }
        return run_playbook(str(play), "localhost,", *arguments, "-e", json.dumps(given), log=tmp_path / "tasks.jsonl")

    bare = role("dependencies", app_update_npm_fix=True)
    assert bare.rc != 0 and "No dependency is updated without a verified backup" in bare.output
    wanted = {"app_update_npm_fix": True, "app_update_require_backup": False}
    checked = role("dependencies", "--check", "--diff", **wanted).assert_ok()
    assert "+node_modules/leftpad 1.2.0" in checked.output and world.lock.read_bytes() == before
    done = role("dependencies", **wanted).assert_ok()
    assert world.versions()["leftpad"] == "1.2.0" and CANARY not in done.output
    (found,) = done.result("npm_audit")["results"]
    role("dependencies_undo", app_update_npm_undo=found["undo_id"]).assert_ok()
    assert world.lock.read_bytes() == before
    nothing = role("dependencies_undo", app_update_npm_undo="20260101T000000Z-ffffff").assert_ok()
    assert nothing.changed() == []
