# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make test-compat``: real runs with each ansible-core and on each Python of a host, and the README's table of them.

``python -m tests.tools.compatibility`` runs all and writes docs/compatibility.json and the table; with names (core-2.18,
python-3.8) only those; ``--render`` writes the table from what is recorded. Each ansible-core has an environment of its own in
.cache/compat, each row a sandbox of its own; the logs lie in .cache/logs. The exit status is 1 when a run was not as it should be.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.support.playbooks import PlaybookRun
from tests.support.pythons import CACHE, PythonUnavailable, environment_of, find_interpreter
from tests.support.sandboxes import Sandbox, sandbox_command

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "compatibility.json"
README = ROOT / "README.md"
LOGS = CACHE / "logs"
BEGIN, END = "<!-- compatibility: written by make test-compat -->", "<!-- end of compatibility -->"

# The release lines of ansible-core that are promised, each with the oldest Python it runs on that this checkout's tests have.
CONTROLLERS = {"2.18": "3.11", "2.19": "3.11", "2.20": "3.12", "2.21": "3.12"}
# What may run the line that comes after them; the first that gets one is taken.
PYTHONS_OF_THE_NEXT = ("3.12", "3.13", "3.14")
# The Pythons of hosts, each with the line that is tried on it: the newest promised one that still knows it.
TARGETS = {"3.8": "2.19"} | {f"3.{minor}": "2.21" for minor in range(9, 15)}
# The database of the sandboxes, in megabytes: what is looked for here does not depend on its size.
MEGABYTES = 40

# name of the run, playbook, arguments
CONTROLLER_RUNS = (
    ("assess", "assess", ()),
    ("weekly", "weekly", ()),
    ("again", "weekly", ()),
    ("check", "monthly", ("--check",)),
)
TARGET_RUNS = (("weekly", "weekly", ()), ("again", "weekly", ()))
HEADINGS = {"assess": "assess", "weekly": "weekly", "again": "weekly again", "check": "monthly, check mode"}
# Runs that find nothing left to do.
UNCHANGING = ("assess", "again")


@dataclass
class Run:
    """One playbook.

    Attributes:
        rc: exit status of ansible-playbook.
        changed: tasks that changed something.
        seconds: from its start to its end.
    """

    rc: int
    changed: int
    seconds: float

    def is_right(self, name: str) -> bool:
        return self.rc == 0 and (name not in UNCHANGING or self.changed == 0)


@dataclass
class Row:
    """What one ansible-core did on one Python.

    Attributes:
        name: core-LINE or python-VERSION.
        core: release of ansible-core.
        python: its version; of the controller, or of the host.
        missing: why it could not be tried.
        complaints: of Ansible about this collection: what will go away, and callbacks that fail.
    """

    name: str
    core: str
    python: str
    missing: str = ""
    runs: dict[str, Run] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        wanted = CONTROLLER_RUNS if self.name.startswith("core-") else TARGET_RUNS
        return (
            not self.missing
            and not self.complaints
            and all(name in self.runs and self.runs[name].is_right(name) for name, _, _ in wanted)
        )


# -- which releases there are -------------------------------------------------------------------------------------------


def _parts(release: str) -> tuple[int, ...]:
    """A release in the order of releases: alphas, betas and candidates come before what they lead to."""
    numbers, kind, number = re.fullmatch(r"([\d.]+?)(?:(a|b|rc)(\d+))?", release).groups()  # type: ignore[union-attr]
    stage = {"a": 0, "b": 1, "rc": 2, None: 3}[kind]
    major, minor, patch = (*map(int, numbers.split(".")), 0, 0)[:3]
    return major, minor, patch, stage, int(number or 0)


def newest_of(line: str, releases: Iterable[str]) -> str:
    """The newest final release of a line; "" when there is none."""
    return max((one for one in releases if re.fullmatch(rf"{re.escape(line)}\.\d+", one)), key=_parts, default="")


def next_after(line: str, releases: Iterable[str]) -> str:
    """The newest release, pre-releases included, of the lines after this one; "" when there is none."""
    return max((one for one in releases if _parts(one)[:2] > _parts(line)[:2]), key=_parts, default="")


def releases_for(python: str) -> list[str]:
    """The releases of ansible-core, pre-releases included, that run on a version of Python."""
    command = [sys.executable, "-m", "pip", "index", "versions", "ansible-core", "--pre", "--python-version", python]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"(?m)^Available versions: (.*)$", done.stdout)
    return [one.strip() for one in found[1].split(",")] if found else []


def wanted_rows() -> list[Row]:
    """All rows, with the releases that there are today."""
    known = {python: releases_for(python) for python in sorted(set(CONTROLLERS.values()))}
    newest = {line: newest_of(line, known[python]) for line, python in CONTROLLERS.items()}
    rows = [Row(f"core-{line}", newest[line], python) for line, python in CONTROLLERS.items()]
    for python in PYTHONS_OF_THE_NEXT:
        if following := next_after(list(CONTROLLERS)[-1], known.get(python) or releases_for(python)):
            rows.append(Row("core-next", following, python))
            break
    return rows + [Row(f"python-{version}", newest[line], version) for version, line in TARGETS.items()]


# -- running ------------------------------------------------------------------------------------------------------------


def complaints_in(output: str) -> list[str]:
    """What Ansible has against this collection, each once: deprecations that name it or a file of it, and callbacks that failed, which
    older ones only warn of."""
    pieces = re.split(r"\[(DEPRECATION WARNING|WARNING|ERROR)\]:|\n(?=PLAY |TASK |\n)", output)
    found = []
    for kind, text in itertools.pairwise(pieces):
        words = " ".join(text.replace(str(ROOT), ".").split()) if kind and text else ""
        named = kind == "DEPRECATION WARNING" and ("miniecom" in text or str(ROOT) in text)
        if named or re.match(r"Failure using method|Callback dispatch", words):
            found.append(words)
    return list(dict.fromkeys(found))


def core_environment(release: str, python: str) -> Path:
    """The bin directory of an environment with this ansible-core. Raises PythonUnavailable."""
    (CACHE / "compat").mkdir(parents=True, exist_ok=True)
    packages = [f"ansible-core=={release}", "jmespath"]
    return environment_of(python, f"compat/ansible-core-{release}-python{python}", packages).parent


def play(programs: Path, sandbox: Sandbox, inventories: Sequence[str], playbook: str, log: Path) -> tuple[Run, str]:
    """Run a playbook with its arguments, as in "monthly --check", as a user does; what it did, and all it printed."""
    name, *arguments = playbook.split()
    options = [option for inventory in inventories for option in ("-i", inventory)]
    environment = {
        **os.environ,
        **sandbox.environment(),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_DEPRECATION_WARNINGS": "1",
        # What the checkout's own environment has is no part of what is tried.
        "PYTHONPATH": "",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }
    started = time.monotonic()
    done = subprocess.run(
        [str(programs / "ansible-playbook"), *options, f"playbooks/{name}.yml", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    log.write_text(done.stdout, encoding="utf-8")
    recap = PlaybookRun(done.returncode, done.stdout).recap
    changed = sum(numbers.get("changed", 0) for numbers in recap.values())
    return Run(done.returncode, changed, round(time.monotonic() - started, 1)), done.stdout


def carry_out(row: Row) -> Row:
    """Do the runs of a row on a sandbox of its own; those after one that failed are left out."""
    of_host = row.name.startswith("python-")
    # ansible-core 2.21 wants 3.12; where hosts have an older Python, the controller has its own.
    line = ".".join(row.core.split(".")[:2])
    try:
        programs = core_environment(row.core, CONTROLLERS[line] if of_host else row.python)
        interpreter = find_interpreter(row.python) if of_host else ""
    except (PythonUnavailable, subprocess.CalledProcessError) as error:
        row.missing = str(error)
        return row
    LOGS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="miniecom-compat-") as temporary:
        sandbox = Sandbox(Path(temporary, "shop"), "native")
        inventories = ["inventories/sandbox"]
        if of_host:
            own = {"ansible_python_interpreter": interpreter, "prerequisites_base_python": interpreter}
            # A host's own variables count more than those of the sandbox's group.
            path = Path(temporary, "host.json")
            path.write_text(json.dumps({"all": {"hosts": {"sandbox": own}}}), encoding="utf-8")
            inventories.append(str(path))
        try:
            sandbox_command("up", "native", sandbox.directory, "--megabytes", str(MEGABYTES))
            for name, playbook, arguments in TARGET_RUNS if of_host else CONTROLLER_RUNS:
                log = LOGS / f"compat-{row.name}-{name}.log"
                row.runs[name], output = play(programs, sandbox, inventories, " ".join([playbook, *arguments]), log)
                row.complaints += [text for text in complaints_in(output) if text not in row.complaints]
                print(f"{row.name}: {name} rc={row.runs[name].rc} {row.runs[name].seconds:.0f} s", flush=True)
                if row.runs[name].rc:
                    break
        finally:
            sandbox_command("down", "native", sandbox.directory)
    return row


# -- results and their table --------------------------------------------------------------------------------------------


def read(path: Path = RESULTS) -> tuple[str, list[Row]]:
    """The day of the last run, and its rows."""
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"day": "", "rows": []}
    rows = [Row(**{**row, "runs": {name: Run(**run) for name, run in row["runs"].items()}}) for row in stored["rows"]]
    return stored["day"], rows


def store(row: Row, order: Sequence[str], path: Path = RESULTS) -> None:
    """Put a row in place of the one of its name."""
    rows = {other.name: other for other in read(path)[1]} | {row.name: row}
    kept = [asdict(rows[name]) for name in order if name in rows]
    day = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    path.write_text(json.dumps({"day": day, "rows": kept}, indent=2) + "\n", encoding="utf-8")


def _cell(row: Row, name: str) -> str:
    run = row.runs.get(name)
    if run is None:
        return "not run"
    if run.rc:
        return f"**failed** ({run.rc})"
    if not run.is_right(name):
        return f"**changed {run.changed} again**"
    return "ok"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def rendered(day: str, rows: Sequence[Row]) -> str:
    """The part of the README between its markers, markers included."""
    warned = [row.core for row in rows if row.complaints]
    lines = [
        BEGIN,
        f"Seen on {day}, by `make test-compat`: each row is a sandbox of its own, and the second weekly run is ok only when it changed",
        "nothing. "
        + (
            f"Under ansible-core {', '.join(dict.fromkeys(warned))} something of this collection was deprecated, or a callback failed."
            if warned
            else "No warning of a deprecation named this collection, and no callback failed."
        ),
    ]
    for prefix, runs, head in (
        ("core-", CONTROLLER_RUNS, ("ansible-core", "on Python")),
        ("python-", TARGET_RUNS, ("Python on the host", "by ansible-core")),
    ):
        names = [name for name, _, _ in runs]
        lines += ["", _line([*head, *(HEADINGS[name] for name in names)]), f"|{'---|' * (len(names) + 2)}"]
        for row in (row for row in rows if row.name.startswith(prefix)):
            versions = (row.core, row.python) if prefix == "core-" else (row.python, row.core)
            cells = ["no such Python here"] if row.missing else [_cell(row, name) for name in names]
            lines.append(_line([*versions, *cells, *[""] * (len(names) - len(cells))]))
    return "\n".join([*lines, END])


def with_table(text: str, table: str) -> str:
    """The README with this table between its markers. Raises ValueError where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _inner, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md lacks the lines {BEGIN} and {END}")
    return before + table + after


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.compatibility", description=__doc__)
    parser.add_argument("names", nargs="*", help="rows to run, such as core-2.18 or python-3.8; a beginning will do")
    parser.add_argument("--render", action="store_true", help="only write the table, from what is recorded")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time (default 1: their times are told)")
    options = parser.parse_args(arguments)
    right = True
    if not options.render:
        every = wanted_rows()
        chosen = [row for row in every if not options.names or row.name.startswith(tuple(options.names))]
        if not chosen:
            parser.error(f"no such row; there are {', '.join(row.name for row in every)}")
        lock = threading.Lock()

        def finish(row: Row) -> bool:
            done = carry_out(row)
            with lock:
                store(done, [one.name for one in every])
                what = "as it should be" if done.is_right else done.missing or "NOT as it should be"
                print(f"{done.name}: ansible-core {done.core}, Python {done.python}: {what}", flush=True)
                print("".join(f"  {text}\n" for text in done.complaints), end="", flush=True)
            return done.is_right

        with ThreadPoolExecutor(options.jobs) as pool:
            right = all(list(pool.map(finish, chosen)))
    README.write_text(with_table(README.read_text(encoding="utf-8"), rendered(*read())), encoding="utf-8")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
