# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""secret_scan with the real Kingfisher: it finds, it tells new from known, and no secret ever leaves it."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_matches import provider_rule
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_rules import RULES_YAML
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.unscanned import (
    LOCK_NAMES,
    PACKED_ENDINGS,
    PICTURE_ENDINGS,
    STYLE_ENDINGS,
)
from tests.sandbox.trouble import Trouble, make_trouble
from tests.support.modules import ModuleResult
from tests.support.secret_scans import scan

CANARIES = {
    "backend/src/db.js": "const dbPassword = 'Canary-quoted-8841';\nconst jwt = process.env.JWT_SECRET || 'Canary-fallback-7720';\n",
    "docker-compose.yml": (
        "services:\n  mongo:\n    environment:\n      MONGO_INITDB_ROOT_PASSWORD: changeme\n"
        "      SMTP_PASS_SECRET: Canary-compose-3391\n      API_TOKEN: ${API_TOKEN:-Canary-default-5512}\n"
        "      FINE_PASSWORD: ${MONGO_PASSWORD}\n"
    ),
    ".env": "JWT_SECRET=Canary-env-1188\n",
    ".env.example": "JWT_SECRET=changeme\n",
    "node_modules/dep/index.js": "const password = 'Canary-dependency-1';\n",
    "storage/backups/dump.js": "const password = 'Canary-backup-1';\n",
    "backend/src/labels.js": "const password = 'Enter your password';\nconst passwordHint = 'auth.password.hint';\n",
    "backend/src/fine.js": "const password = process.env.DB_PASSWORD;\n",
}


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Path, Trouble]:
    root = tmp_path / "miniecom"
    for directory in ("storage/backups", "storage/uploads"):
        (root / directory).mkdir(parents=True)
    for name, text in CANARIES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    trouble = make_trouble(root, days=1)
    shutil.rmtree(root / "storage/logs")
    return root, trouble


def found(result: ModuleResult, root: Path) -> dict[str, set[tuple[str, int]]]:
    places: dict[str, set[tuple[str, int]]] = {}
    for finding in result.result["findings"]:
        places.setdefault(finding["rule"], set()).add(
            (os.path.relpath(finding["target"], root), finding.get("line", 0))
        )
    return places


def canaries(trouble: Trouble) -> list[str]:
    texts = "".join(CANARIES.values()).replace("'", " ").replace("}", " ").replace(":-", " ").replace("=", " ").split()
    return trouble.secrets + [word.strip(";") for word in texts if word.startswith("Canary-")]


def test_it_finds_what_is_there_and_nothing_else(shop: tuple[Path, Trouble], scan_state: Path) -> None:
    root, _trouble = shop
    result = scan(root, scan_state)
    assert not result.failed and not result.changed, result.msg
    places = found(result, root)
    assert places.pop("default-credentials") == {("docker-compose.yml", 4)}
    assert places.pop("secret-fallback") == {("backend/src/db.js", 2), ("docker-compose.yml", 6)}
    assert places.pop("mongodb-connection-string") == {("backend/src/test-import.js", 1)}
    assert places.pop("hard-coded-secret") >= {
        ("backend/src/db.js", 1),
        ("docker-compose.yml", 5),
        ("backend/src/config/mailer.js", 1),
    }
    names = {name for group in found(result, root).values() for name, _line in group}
    assert "backend/src/config/payments.js" in names
    assert not {
        name
        for name in names
        if name.startswith(("node_modules", "storage", ".env")) or "fine" in name or "labels" in name
    }


def test_what_it_does_not_read_is_what_it_says(tmp_path: Path, scan_state: Path) -> None:
    """Our lists of what Kingfisher passes over, against what it does."""
    root = tmp_path / "shop"
    root.mkdir()
    provider = "uri = mongodb+srv://shopadmin:{}@cluster0.ab1cd.mongodb.net/shop\n"
    text = "API_PASSWORD=Canary-read-4471\n" + provider.format("Zq8vLx2TpR7wQm")
    scanned = {"a.conf", "b.lock", "Cargo.lock", "c.scss", "d.pdf", "e.zst", "f.7z", "g.sqlite", "h.webp"}
    ours_only = {f"x.{ending}" for ending in PICTURE_ENDINGS} | LOCK_NAMES
    unread = {f"x.{ending}" for ending in PACKED_ENDINGS | STYLE_ENDINGS} | {"large.conf"}
    for name in scanned | ours_only | unread:
        (root / name).write_text(text)
    with (root / "large.conf").open("a") as handle:
        handle.write("# x\n" * (3 << 20))
    result = scan(root, scan_state, fail_on="never")
    rules: dict[str, set[str]] = {}
    for finding in result.result["findings"]:
        rules.setdefault(os.path.basename(finding["target"]), set()).add(finding["rule"])
    assert {name for name, found in rules.items() if "mongodb-connection-string" in found} == scanned
    assert not unread & set(rules)
    kept = {item["target"]: item["reason"] for item in result.result["kept"]}
    assert kept["packed files"].startswith(f"{len(PACKED_ENDINGS)} files such as {root}/x.")
    assert kept["lock files, pictures and fonts"].startswith(f"{len(ours_only)} files")
    assert kept["large files"].startswith("1 file such as") and kept["style sheets"].startswith("1 file")
    assert result.result["summary"]["files_not_scanned"] == len(unread)


def test_no_secret_leaves_it(shop: tuple[Path, Trouble], scan_state: Path, tmp_path: Path) -> None:
    root, trouble = shop
    sarif = tmp_path / "log.sarif"
    results = [scan(root, scan_state, sarif=str(sarif))]
    (root / "backend/src/fresh.js").write_text("const smtpPassword = 'Canary-fresh-9917';\n")
    results.append(scan(root, scan_state, diff=True))
    assert results[1].failed and "fresh.js line 1" in results[1].msg
    texts = {"output": "".join(result.output for result in results), "sarif": sarif.read_text()}
    texts |= {str(path): path.read_text(errors="replace") for path in scan_state.rglob("*.json*")}
    assert len(canaries(trouble)) >= 9
    for canary in [*canaries(trouble), "Canary-fresh-9917"]:
        for place, text in texts.items():
            assert canary not in text, f"{canary} stands in {place}"
    assert not [path for path in scan_state.rglob("*") if path.name in ("rules.yml", "probe.conf")]
    assert {path.name for path in scan_state.iterdir()} <= {"audit.key", "baselines", "kingfisher", "scans"}


def test_new_moved_waived_gone(shop: tuple[Path, Trouble], scan_state: Path) -> None:
    root, _trouble = shop
    assert scan(root, scan_state).result["baseline"]["state"] == "set"
    second = scan(root, scan_state)
    assert not second.failed and not second.changed and second.result["summary"]["findings"] == 0
    fresh = root / "backend/src/fresh.js"
    fresh.write_text("const smtpPassword = 'Canary-fresh-9917';\n")
    red = scan(root, scan_state)
    (new,) = [item for item in red.result["findings"] if item["status"] == "new"]
    assert red.failed and new["line"] == 1
    fresh.write_text("\n\n// moved\nconst smtpPassword = 'Canary-fresh-9917';\n")
    (moved,) = [item for item in scan(root, scan_state).result["findings"] if item["status"] == "new"]
    assert moved["line"] == 4 and moved["fingerprint"] == new["fingerprint"]
    fresh.write_text("const smtpPassword = 'Canary-other-1234';\n")
    (other,) = [item for item in scan(root, scan_state).result["findings"] if item["status"] == "new"]
    assert other["fingerprint"] != new["fingerprint"], "another secret is another finding"
    waiver = {"fingerprint": other["fingerprint"], "reason": "test account", "expires": "2999-12-31"}
    assert not scan(root, scan_state, waivers=[waiver]).failed
    (root / "backend/src/db.js").write_text("")
    fresh.unlink()
    gone = scan(root, scan_state)
    # What was new and is mended before it was known is told as well.
    mended = {str(root / "backend/src/db.js"), str(fresh)}
    assert not gone.failed and {item["target"] for item in gone.result["resolved"]} == mended


def test_check_mode_writes_nothing(shop: tuple[Path, Trouble], scan_state: Path) -> None:
    root, _trouble = shop
    shutil.rmtree(scan_state / "kingfisher")
    scan_state.rmdir()
    before = {path: os.lstat(path).st_ctime_ns for path in root.rglob("*")}
    told = scan(root, scan_state, check=True)
    assert not told.failed and not told.changed and told.result["summary"]["findings_total"] > 4
    assert not scan_state.exists() and before == {path: os.lstat(path).st_ctime_ns for path in root.rglob("*")}


def test_what_comes_from_a_tool_that_does_not_work_is_never_trusted(
    shop: tuple[Path, Trouble], scan_state: Path, tmp_path: Path
) -> None:
    root, _trouble = shop
    for program, message in (
        ("/bin/true", "did not report a secret that was put before it"),
        ("/bin/false", "exit status 1"),
    ):
        result = scan(root, scan_state, kingfisher=program)
        assert result.failed and message in result.msg and not (scan_state / "baselines").exists()
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    late = scan(root, scan_state, kingfisher=str(slow), timeout="1s")
    assert late.failed and "did not end within 1 s" in late.msg
    leaky = tmp_path / "leaky"
    leaky.write_text(
        "#!/bin/sh\n"
        'echo \'{"rule": {"id": "miniecom.quoted"}, "finding": {"path": "/x", "line": 1, "snippet": "Canary-leak-1"}}\'\n'
        "echo 'Error: cannot read Canary-leak-1' >&2\nexit 2\n"
    )
    leaky.chmod(0o755)
    failed = scan(root, scan_state, kingfisher=str(leaky))
    assert failed.failed and "cannot read" in failed.msg and "Canary-leak-1" not in failed.output


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"paths": ["/nonexistent/shop"]}, "ENOENT"),
        ({"paths": []}, "no paths to scan"),
        ({"kingfisher": "/nonexistent/kingfisher"}, "cannot be run"),
        ({"timeout": "soon"}, "not a duration"),
        ({"waivers": [{"rule": "x", "reason": "", "expires": "2030-01-01"}]}, "no reason"),
    ],
)
def test_mistakes_are_told(shop: tuple[Path, Trouble], state_dir: Path, params: dict[str, Any], message: str) -> None:
    result = scan(shop[0], state_dir, **params)
    assert result.failed and message in result.msg and "defect" not in result.msg
    assert not state_dir.exists()


def test_a_missing_kingfisher_names_the_package(shop: tuple[Path, Trouble], state_dir: Path, old_python: Path) -> None:
    result = scan(shop[0], state_dir, python=old_python, env={"PATH": "/usr/bin:/bin"})
    assert result.failed and "kingfisher-bin" in result.msg and "prerequisites" in result.msg


def test_on_the_oldest_python(shop: tuple[Path, Trouble], scan_state: Path, old_python: Path, kingfisher: Path) -> None:
    result = scan(shop[0], scan_state, python=old_python, kingfisher=str(kingfisher))
    assert not result.failed, result.msg
    assert result.result["summary"]["findings_total"] > 4


def test_our_rules_satisfy_kingfisher(tmp_path: Path, kingfisher: Path) -> None:
    """Its own check runs the examples of each rule, those that must match and those that must not."""
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES_YAML)
    command = [
        str(kingfisher),
        "rules",
        "check",
        "--no-update-check",
        "--load-builtins=false",
        "--rules-path",
        str(rules),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=os.environ | {"HOME": str(tmp_path)}
    )
    assert done.returncode == 0 and "All rules passed" in done.stdout, done.stdout + done.stderr
    broken = RULES_YAML.replace("S3cr3tExample", "x")
    assert broken != RULES_YAML
    rules.write_text(broken)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=os.environ | {"HOME": str(tmp_path)}
    )
    assert "All rules passed" not in done.stdout, "the check does not look at examples"


def test_each_of_kingfishers_rules_keeps_a_name(tmp_path: Path, kingfisher: Path) -> None:
    """A waiver for one of them must not cover another one."""
    command = [str(kingfisher), "rules", "list", "--no-update-check", "--format", "json"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True, env=os.environ | {"HOME": str(tmp_path)}
    )
    ids = [rule["id"] for rule in json.loads(done.stdout)]
    assert len(ids) > 400
    names: dict[str, set[str]] = {}
    for rule in ids:
        names.setdefault(provider_rule(rule), set()).add(re.sub(r"\.\d+$", "", rule))
    assert not [name for name in names if not re.search(r"[a-z]{3}", name)]
    assert not {name: rules for name, rules in names.items() if len(rules) > 1}


def test_the_cache_is_closed_to_others(compiled_rules: Path) -> None:
    assert stat.S_IMODE(compiled_rules.stat().st_mode) == 0o700
    assert json.dumps(sorted(path.suffix for path in compiled_rules.iterdir())) == '[".vscdb"]'
