# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""secret_scan before what no shop should hold and some do: it says what is wrong, is never stuck, and never ends in a traceback."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import stat
import threading
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.support.modules import ModuleResult
from tests.support.secret_scans import scan

SECRET = "const smtpPassword = 'Example-odd-4471';\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "mailer.js").write_text(SECRET)
    return root


def targets(result: ModuleResult) -> list[str]:
    assert "Traceback" not in result.output and "defect" not in result.msg, result.output
    assert not result.failed, result.msg
    return sorted(os.path.basename(item["target"]) for item in result.result["findings"])


def refusal(result: ModuleResult) -> str:
    assert result.failed and "Traceback" not in result.output and "defect" not in result.msg, result.output
    return result.msg


def before_kingfisher(directory: Path, kingfisher: Path, text: str) -> str:
    """A program that does this and then is Kingfisher."""
    wrapper = directory / "wrapper"
    wrapper.write_text(f'#!/bin/sh\n{text}\nexec {shlex.quote(str(kingfisher))} "$@"\n')
    wrapper.chmod(0o755)
    return str(wrapper)


def test_what_is_no_file_is_passed_over_and_a_huge_one_is_told(shop: Path, scan_state: Path) -> None:
    os.mkfifo(shop / "pipe.js")
    if os.geteuid() == 0:
        # Whoever opens it to read it never comes to its end.
        os.mknod(shop / "zero.js", 0o644 | stat.S_IFCHR, os.makedev(1, 5))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(shop / "socket.js"))
        with open(shop / "huge.bin", "wb") as handle:
            handle.write(SECRET.encode())
            handle.truncate(2 << 30)
        (shop / "loop.js").symlink_to("loop.js")
        (shop / "gone.js").symlink_to("no such file")
        result = scan(shop, scan_state)
    assert targets(result) == ["mailer.js"]
    kept = {item["target"]: item["reason"] for item in result.result["kept"]}
    assert kept["large files"] == f"1 file such as {shop}/huge.bin: larger than the scan reads"
    assert result.result["summary"]["files_not_scanned"] == 1


def test_names_and_contents_that_are_no_utf_8(shop: Path, scan_state: Path) -> None:
    (shop / "latin.conf").write_bytes(b"# caf\xe9\nSMTP_PASSWORD=Example-odd-\xe9-4472\n")
    (shop / "bytes.bin").write_bytes(bytes(range(256)) * 64)
    with open(os.path.join(os.fsencode(shop), b"caf\xe9\n.js"), "wb") as handle:
        handle.write(SECRET.replace("4471", "4473").encode())
    found = targets(scan(shop, scan_state))
    assert len(found) == 3 and {"latin.conf", "mailer.js"} < set(found)
    [odd] = set(found) - {"latin.conf", "mailer.js"}
    assert odd.isprintable() and odd.startswith("caf") and odd.endswith(".js")


def test_files_that_come_and_go_during_the_scan(shop: Path, scan_state: Path) -> None:
    ended = threading.Event()

    def churn() -> None:
        while not ended.is_set():
            for number in range(50):
                directory = shop / f"part{number}"
                directory.mkdir(exist_ok=True)
                (directory / "cache.js").write_text(SECRET)
            for number in range(50):
                shutil.rmtree(shop / f"part{number}")

    churning = threading.Thread(target=churn)
    churning.start()
    try:
        result = scan(shop, scan_state, fail_on="never")
    finally:
        ended.set()
        churning.join()
    assert "mailer.js" in targets(result)


def test_a_file_that_is_gone_when_its_place_is_looked_up(shop: Path, scan_state: Path, kingfisher: Path) -> None:
    (shop / "other.js").write_text("const a = 1;\n" + SECRET)
    wrapper = before_kingfisher(
        shop.parent, kingfisher, f'{shlex.quote(str(kingfisher))} "$@"; status=$?; rm {shop}/other.js; exit $status'
    )
    result = scan(shop, scan_state, kingfisher=wrapper)
    assert targets(result) == ["mailer.js", "other.js"]
    assert [item["line"] for item in result.result["findings"] if item["target"].endswith("other.js")] == [2]


def test_a_path_that_vanishes_before_it_is_scanned(shop: Path, scan_state: Path, kingfisher: Path) -> None:
    wrapper = before_kingfisher(shop.parent, kingfisher, f"rm -r {shop}")
    told = refusal(scan(shop, scan_state, kingfisher=wrapper))
    assert f"{shop} (code ENOENT)" in told and "scan again" in told and not (scan_state / "baselines").exists()


def test_a_file_of_rules_that_does_not_parse(shop: Path, scan_state: Path, kingfisher: Path) -> None:
    """What is wrong with it is said, and nothing is taken for clean."""
    for broken in ("rules: [", "rules:\n  - name: x\n"):
        wrapper = before_kingfisher(shop.parent, kingfisher, f"printf %s {shlex.quote(broken)} > rules.yml")
        told = refusal(scan(shop, scan_state, kingfisher=wrapper))
        assert "Kingfisher failed" in told and "rules.yml" in told
    assert not (scan_state / "baselines").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 1, "waivers": [{"finding": "x"}]}'])
def test_a_broken_file_of_waivers(shop: Path, scan_state: Path, content: str) -> None:
    (scan_state / "waivers.json").write_text(content)
    told = refusal(scan(shop, scan_state))
    assert "waivers cannot be understood" in told and "waivers.json" in told
    assert (scan_state / "waivers.json").read_text() == content and not (scan_state / "baselines").exists()


def test_a_waiver_of_a_rule_that_there_is_not(shop: Path, scan_state: Path) -> None:
    """It covers nothing, and covers nobody's finding by mistake."""
    entry = {"rule": "hard-coded-secrets", "reason": "a slip of the pen", "expires": "2999-12-31"}
    (scan_state / "waivers.json").write_text(json.dumps({"version": 1, "waivers": [entry]}))
    result = scan(shop, scan_state, fail_for="all")
    assert "hard-coded-secret" in refusal(result)
    assert {item["status"] for item in result.result["findings"]} == {"known"}
    warning = json.dumps(result.result["warnings"])
    assert "hard-coded-secrets covers nothing" in warning and "Is hard-coded-secret meant?" in warning


def test_waivers_of_kingfishers_rules_and_of_a_finding_that_there_is_not(shop: Path, scan_state: Path) -> None:
    """Kingfisher is asked what its rules are called; what is right is not complained of."""
    [found] = scan(shop, scan_state).result["findings"]
    given = [{"rule": "github-pat"}, {"rule": "stripe-*"}, {"fingerprint": found["id"]}, {"rule": "github-pad"}]
    given += [{"fingerprint": "hard-coded-secret-" + "0" * 8}, {"fingerprint": "f" * 32}]
    waivers = [{**named, "reason": "ticket 4", "expires": "2999-12-31"} for named in given]
    result = scan(shop, scan_state, waivers=waivers)
    assert not result.failed and [item["status"] for item in result.result["findings"]] == ["waived"], result.msg
    told = json.dumps(result.result["warnings"])
    assert told.count("covers nothing") == 3, told
    assert re.search(r"fingerprint=f{32} covers nothing: no audit of this host knows", told)
    assert re.search(rf"hard-coded-secret-0{{8}} covers nothing: .{{0,60}}meant\? {found['id']}", told)
    assert re.search(r"rule=github-pad covers nothing: .{0,60}Is github-\w+ meant", told)


def test_a_path_that_is_a_file(shop: Path, scan_state: Path) -> None:
    assert targets(scan(shop / "mailer.js", scan_state)) == ["mailer.js"]


@pytest.mark.parametrize("kind", ["fifo", "device", "socket"])
def test_a_path_that_is_neither_file_nor_directory(shop: Path, scan_state: Path, kind: str) -> None:
    path = shop / "odd"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        if os.geteuid():
            lacking("a device of one's own: run as root")
        os.mknod(path, 0o644 | stat.S_IFCHR, os.makedev(1, 5))
    else:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    told = refusal(scan(path, scan_state))
    assert str(path) in told and "neither a file nor a directory" in told and "Correct paths" in told


def test_a_path_that_is_missing_or_leads_through_a_file(shop: Path, scan_state: Path) -> None:
    for path in (shop / "missing", shop / "mailer.js" / "x"):
        told = refusal(scan(path, scan_state))
        assert str(path) in told and "Correct paths" in told
