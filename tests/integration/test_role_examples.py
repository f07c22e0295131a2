# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role used alone: each README's example runs as it is printed, on a host that has nothing yet, and a failure is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.conftest import raised
from tests.support.playbooks import ROOT, PlaybookRun, run_playbook
from tests.support.sandboxes import Sandbox

# The role schedule gives the machine it runs on timers: its example is for a host of its own, in test_schedule.py.
ROLES = sorted(path.parent.name for path in ROOT.glob("roles/*/README.md") if path.parent.name != "schedule")
AUDIT = "security_audit"
# Whose modules other tests of whole playbooks do not call; the others' examples run in make test-long.
SAMPLED = ("alerts", "maintenance_mode", AUDIT)


def example(role: str) -> str:
    """The play that stands in a role's README."""
    text = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"^## Example\n\n```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One of this file's own: the examples rotate backups and close the shop."""
    yield from raised("native", bare=True)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An inventory beside the sandbox's, by which modules begin on a Python that has none of their libraries."""
    empty = tmp_path / "bare.ini"
    empty.write_text("[miniecom]\nsandbox ansible_python_interpreter=/usr/bin/python3\n")
    return empty


def play(text: str, sandbox: Sandbox, bare: Path, tmp_path: Path, *arguments: str) -> PlaybookRun:
    path = tmp_path / "play.yml"
    path.write_text(text)
    inventory = ROOT / "inventories" / "sandbox"
    return run_playbook(
        str(path), inventory, "-i", str(bare), *arguments, log=tmp_path / "log", env=sandbox.environment()
    )


@pytest.mark.parametrize(
    "role", [pytest.param(role, marks=[] if role in SAMPLED else pytest.mark.exhaustive) for role in ROLES]
)
def test_the_example_of_the_readme_runs_as_printed(role: str, sandbox: Sandbox, bare: Path, tmp_path: Path) -> None:
    run = play(example(role), sandbox, bare, tmp_path).assert_ok()
    assert f"miniecom.maintenance.{role} : " in run.output
    if role == "maintenance_mode":
        run_playbook(
            "exit_maintenance", ROOT / "inventories" / "sandbox", log=tmp_path / "log", env=sandbox.environment()
        ).assert_ok()


@pytest.fixture
def exposed(sandbox: Sandbox, bare: Path, tmp_path: Path) -> Iterator[None]:
    """Three serious things that were not there at the first audit."""
    made = [sandbox.root / f"open-{number}" for number in range(3)]
    if not (sandbox.directory / "state" / "baselines").exists():
        play(example(AUDIT), sandbox, bare, tmp_path).assert_ok()
    for path in made:
        path.mkdir()
        path.chmod(0o777)
    yield
    for path in made:
        path.rmdir()


@pytest.mark.usefixtures("exposed")
def test_an_audit_alone_fails_on_what_is_new_and_serious(sandbox: Sandbox, bare: Path, tmp_path: Path) -> None:
    audited = play(example(AUDIT), sandbox, bare, tmp_path)
    assert audited.rc == 2
    done = [task["action"].rpartition(".")[2] for task in audited.tasks if task["status"] != "skipped"]
    assert done.index("fail") > done.index("port_audit"), "every check was made before"
    assert "3 new" in audited.result("fail")["msg"]


def in_a_run(*roles: str) -> str:
    """The example of the role report, with other roles as its work."""
    (outline,) = yaml.safe_load(example("report"))
    work = next(task for task in outline["tasks"] if "block" in task)
    work["block"][-1:] = [{"ansible.builtin.import_role": {"name": f"miniecom.maintenance.{role}"}} for role in roles]
    return yaml.safe_dump([outline], sort_keys=False)


@pytest.mark.usefixtures("exposed")
def test_an_audit_in_a_run_leaves_the_failure_to_its_end(sandbox: Sandbox, bare: Path, tmp_path: Path) -> None:
    audited = play(in_a_run(AUDIT, "health_check"), sandbox, bare, tmp_path)
    assert audited.rc == 2
    told = audited.result("maintenance_report")
    assert told["failed_steps"] == ["permissions"], "once, in its own row"
    assert "health" in [step["step"] for step in told["steps"]], "what came after it was done"


def test_an_audit_after_a_run_that_has_ended_fails_itself(sandbox: Sandbox, bare: Path, tmp_path: Path) -> None:
    """Its modules belong to no run any more, which they say; and nobody comes after it who would fail for it."""
    (outline,) = yaml.safe_load(in_a_run("disk_check"))
    outline["tasks"].append({"ansible.builtin.import_role": {"name": "miniecom.maintenance.security_audit"}})
    audited = play(yaml.safe_dump([outline], sort_keys=False), sandbox, bare, tmp_path)
    assert audited.result("maintenance_report")["status"] == "ok"
    assert audited.rc == 2
    assert "this run no longer holds the host" in audited.result("fail")["msg"]


def test_compaction_alone_without_a_backup_fails(sandbox: Sandbox, bare: Path, tmp_path: Path) -> None:
    (outline,) = yaml.safe_load(example("mongo_maintenance"))
    kept = [task for task in outline["tasks"] if not task["ansible.builtin.import_role"]["name"].endswith(".backup")]
    assert len(kept) == len(outline["tasks"]) - 1
    outline["tasks"] = kept
    alone = play(yaml.safe_dump([outline], sort_keys=False), sandbox, bare, tmp_path)
    assert alone.rc == 2
    assert "role miniecom.maintenance.backup before" in alone.result("mongo_compact")["msg"]
    wanted = play(
        yaml.safe_dump([outline], sort_keys=False),
        *(sandbox, bare, tmp_path, "--check", "-e", '{"mongo_maintenance_require_backup": false}'),
    )
    wanted.assert_ok()
