# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much of what is dangerous is seen, and how much of what is called dangerous is: over jobs as operators write them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.miniecom.maintenance.plugins.module_utils._host.job_places import Places
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.job_reader import Reader, Script, script
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.jobs import DANGERS, JobFinder, ScheduledJob

CORPUS = Path(__file__).parent / "jobs_corpus"
ROOT = "/opt/miniecom"
SHORT = {
    "backups": "deletes_backups",
    "docker": "prunes_docker",
    "data": "deletes_data",
    "restarts": "restarts_services",
    "readable": "leaves_readable_backups",
    "unknown": "unknown",
}
# Where the text of a case stands.
SOURCES = {
    "crontab": "/var/spool/cron/crontabs/deploy",
    "system": "/etc/cron.d/ops",
    "anacrontab": "/etc/anacrontab",
    "daily": "/etc/cron.daily/tidy",
    "tmpfiles": "/etc/tmpfiles.d/ops.conf",
    "logrotate": "/etc/logrotate.d/ops",
}
HALVES = ("seen", "measured")


class Files(Reader):
    """A host made of texts."""

    def __init__(self, files: dict[str, str]) -> None:
        super().__init__()
        self.given = files

    def script(self, path: str, report: bool = False) -> Script | None:
        text = self.given.get(os.path.normpath(path))
        return None if text is None else script(text.encode())

    def files(self, pattern: str, depth: int = 2) -> Iterator[str]:
        for path in sorted(self.given):
            if path == pattern or path.startswith(pattern + "/"):
                yield path

    def status(self, path: str) -> tuple[tuple[int, int], int] | None:
        return ((0, sorted(self.given).index(path)), 0o755) if path in self.given else None

    def links(self, directory: str, unit: str) -> bool:
        return unit.endswith(".timer")

    def is_masked(self, path: str) -> bool:
        return False

    def home(self, user: str) -> str:
        return "/root" if user == "root" else "/home/%s" % user if user else ""


def cases(half: str) -> list[dict]:
    return yaml.safe_load((CORPUS / f"{half}.yml").read_text())


def jobs_of(case: dict) -> list[ScheduledJob]:
    shop = yaml.safe_load((CORPUS / "shop.yml").read_text())
    files = {f"{ROOT}/scripts/{name}": text for name, text in shop.items()}
    files.update(case.get("files", {}))
    if case["in"] in SOURCES:
        files[SOURCES[case["in"]]] = case["line"]
    paths = [*SOURCES.values(), "/etc/systemd/system"]
    return JobFinder(Places(ROOT), paths, Files(files)).find()


def told(case: dict) -> set[str]:
    return {danger for job in jobs_of(case) for danger in job.dangers}


def measure(half: str) -> tuple[dict[str, tuple[float, float]], list[str]]:
    right, wrong, missed = Counter(), Counter(), Counter()
    faults = []
    for case in cases(half):
        wanted, found = {SHORT[name] for name in case["is"]}, told(case)
        right.update(wanted & found)
        wrong.update(found - wanted)
        missed.update(wanted - found)
        if wanted != found:
            faults.append("%s, not %s: %s" % (sorted(found), sorted(wanted), case.get("line") or case["files"]))
    numbers = {}
    for danger in DANGERS:
        said, there = right[danger] + wrong[danger], right[danger] + missed[danger]
        assert there, "the corpus has no job of the class %s" % danger
        numbers[danger] = (right[danger] / said if said else 0.0, right[danger] / there)
    return numbers, faults


@pytest.mark.parametrize("half", HALVES)
def test_precision_and_recall(half: str) -> None:
    numbers, faults = measure(half)
    for danger, (precision, recall) in numbers.items():
        print("%-9s %-24s precision %.3f recall %.3f" % (half, danger, precision, recall))
    assert min(min(pair) for pair in numbers.values()) >= 0.95, "\n".join(faults)


def test_the_corpus_is_large_and_varied() -> None:
    everything = [case for half in HALVES for case in cases(half)]
    texts = [str(case.get("line") or case["files"]) for case in everything]
    assert len(texts) >= 120 and len(set(texts)) == len(texts), "no job is counted twice"
    for half in HALVES:
        assert {case["in"] for case in cases(half)} == {*SOURCES, "units"}
        assert sum(not case["is"] for case in cases(half)) >= 20, "harmless jobs enough to be wrong about"
