# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver of ``make test-mutations``: breaks one guard after another, and says which the tests notice.

``python -m tests.tools.mutations`` breaks each guard of `mutations_list`, with names only those; ``--list`` shows them. All of
it happens in copies of the checkout. Before anything is broken the named tests must pass, so that one that fails anyway is
not taken for one that notices. The exit status is 0 when every guard was noticed.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.tools.mutations_list import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
# What is large and is not changed; the servers of the integration tests lie in the cache.
SHARED = (".cache", ".venv")
LEFT_OUT = shutil.ignore_patterns(*SHARED, ".git", ".sandbox", ".hypothesis", "__pycache__", ".*_cache")
# pytest with hypothesis content with the first example that fails: looking for a simpler one takes minutes.
PYTEST = """
import sys, pytest
from hypothesis import Phase, settings
settings.register_profile("first", phases=[Phase.explicit, Phase.generate], report_multiple_bugs=False)
settings.load_profile("first")
sys.exit(pytest.main(sys.argv[1:]))
"""
SECONDS = 180
SECONDS_BEFORE = 900

NOTICED, NOT_NOTICED, COULD_NOT_RUN = "noticed", "NOT NOTICED", "could not run"
_FAILED = re.compile(r"^FAILED (?:\S*/)?(\S+?\.py::[^\s\[]+)", re.MULTILINE)
# What a guard that was broken clumsily fails with, whatever it guards.
_CLUMSY = re.compile(r"\b(?:NameError|UnboundLocalError)\b.*")


class ListError(Exception):
    """The list does not fit the code."""


@dataclass(frozen=True)
class Verdict:
    """What came of one mutation.

    Attributes:
        note: the test that noticed it, or why it could not run.
    """

    mutation: Mutation
    verdict: str
    note: str
    seconds: float


@dataclass(frozen=True)
class Ran:
    """How pytest ended. code: None when its time was over."""

    code: int | None
    output: str


def broken_text(mutation: Mutation, text: str) -> str:
    """The file's text with its guard broken.

    Raises:
        ListError: the guard does not stand there exactly once, or what comes of it is no Python.
    """
    count = text.count(mutation.guard)
    if count != 1:
        raise ListError(f"{mutation.name}: {mutation.guard!r} stands {count} times in {mutation.file}, not once")
    broken = text.replace(mutation.guard, mutation.broken)
    try:
        compile(broken, mutation.file, "exec")
    except SyntaxError as error:
        raise ListError(f"{mutation.name}: broken it is no Python ({error})") from error
    if broken == text:
        raise ListError(f"{mutation.name}: nothing is broken")
    return broken


def check_list(mutations: Sequence[Mutation], root: Path = ROOT) -> None:
    """Raises ListError: a name is given twice, a guard is not where it is said to be, or a test is not there."""
    twice = [name for name, count in Counter(mutation.name for mutation in mutations).items() if count > 1]
    if twice:
        raise ListError(f"given twice: {', '.join(twice)}")
    for mutation in mutations:
        broken_text(mutation, (root / mutation.file).read_text(encoding="utf-8"))
        missing = [test for test in mutation.tests if not _is_there(root, test)]
        if missing or not mutation.tests:
            raise ListError(f"{mutation.name}: no such test: {', '.join(missing) or 'none is named'}")


def _is_there(root: Path, test: str) -> bool:
    file, _colons, name = test.partition("::")
    path = root / file
    return path.is_file() and (not name or f"def {name}(" in path.read_text(encoding="utf-8"))


def copy_of(root: Path, place: Path) -> Path:
    """A checkout to break things in."""
    copy = place / "checkout"
    shutil.copytree(root, copy, symlinks=True, ignore=LEFT_OUT)
    for name in SHARED:
        if (root / name).exists():
            (copy / name).symlink_to(root / name)
    return copy


def run_tests(copy: Path, tests: Sequence[str], seconds: float, *options: str) -> Ran:
    """Run tests of a copy, and end whatever they have started when their time is over."""
    environment = dict(os.environ, ANSIBLE_CONFIG=str(copy / "ansible.cfg"))
    # A guard may be noticed by one of those that make test passes over.
    environment["MINIECOM_TEST_EXHAUSTIVE"] = "1"
    environment["PYTHONPATH"] = f"{copy / 'collections'}{os.pathsep}{copy}"
    # Compiling all of it anew each time would take longer than most tests; see try_one.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # The same examples each time: what is noticed once is noticed always.
    command = [sys.executable, "-c", PYTEST, "-q", "-rfE", "--tb=line", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    process = subprocess.Popen(
        [*command, *options, *tests],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _none = process.communicate(timeout=seconds)
        return Ran(process.returncode, output)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return Ran(None, process.communicate()[0])
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def judge(ran: Ran, seconds: float) -> tuple[str, str]:
    """The verdict on a mutation by how its tests ended, and a note. Pure.

    Only a test that failed has noticed something: an error while tests are collected or set up says nothing.
    """
    if ran.code is None:
        return COULD_NOT_RUN, f"not ended after {seconds:.0f} s"
    if ran.code == 0:
        return NOT_NOTICED, ""
    clumsy = _CLUMSY.search(ran.output)
    if clumsy:
        return COULD_NOT_RUN, clumsy.group()
    failed = _FAILED.search(ran.output)
    if ran.code == 1 and failed:
        return NOTICED, failed.group(1)
    lines = ran.output.strip().splitlines() or ["no output"]
    return COULD_NOT_RUN, f"pytest ended with {ran.code}: {lines[-1]}"


def try_one(copy: Path, mutation: Mutation, seconds: float) -> Verdict:
    """Break one guard of a copy, run its tests, and put the guard back.

    Python tells whether what it has compiled is still the file by the file's time, in whole seconds, and its size: each broken
    file gets a time that it never had before.
    """
    path, began = copy / mutation.file, time.monotonic()
    text, before = path.read_text(encoding="utf-8"), int(path.stat().st_mtime)
    path.write_text(broken_text(mutation, text), encoding="utf-8")
    moment = before + 1 + MUTATIONS.index(mutation)
    os.utime(path, (moment, moment))
    try:
        verdict, note = judge(run_tests(copy, mutation.tests, seconds, "-x"), seconds)
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, (before, before))
    return Verdict(mutation, verdict, note, time.monotonic() - began)


def try_all(copies: Sequence[Path], mutations: Sequence[Mutation], seconds: float) -> Iterator[Verdict]:
    """Each mutation in the next copy that is free; verdicts as they come."""
    free: queue.Queue[Path] = queue.Queue()
    for copy in copies:
        free.put(copy)

    def work(mutation: Mutation) -> Verdict:
        copy = free.get()
        try:
            return try_one(copy, mutation, seconds)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        running = [pool.submit(work, mutation) for mutation in mutations]
        try:
            for future in as_completed(running):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def copies_of(root: Path, number: int) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory(prefix="miniecom-mutations-") as place:
        directories = [Path(place) / str(count) for count in range(number)]
        yield [copy_of(root, directory) for directory in directories]


def chosen(names: Sequence[str]) -> list[Mutation]:
    """The mutations of these names or modules, all without any.

    Raises:
        ListError: there is none of a name.
    """
    unknown = [name for name in names if not any(name in (item.name, item.module) for item in MUTATIONS)]
    if unknown:
        raise ListError(f"no mutation and no module: {', '.join(unknown)}")
    return [item for item in MUTATIONS if not names or item.name in names or item.module in names]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.tools.mutations", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="names of mutations, or of modules; all without any")
    parser.add_argument("--list", action="store_true", help="show them and break nothing")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1, help="how many at a time")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time limit for the tests of one")
    options = parser.parse_args(arguments)
    try:
        check_list(MUTATIONS)
        mutations = chosen(options.names)
    except ListError as error:
        print(f"the list of mutations is not true: {error}")
        return 2
    # Ended by somebody it takes its copies and its tests with it.
    signal.signal(signal.SIGTERM, lambda *_arguments: sys.exit(128 + signal.SIGTERM))
    width = max(len(mutation.name) for mutation in mutations)
    if options.list:
        for mutation in mutations:
            print(f"{mutation.name:{width}}  {mutation.module:18} {mutation.file.rpartition('module_utils/')[2]}")
        return 0
    with copies_of(ROOT, options.jobs) as copies:
        tests = sorted({test for mutation in mutations for test in mutation.tests})
        print(f"{len(mutations)} guards; their tests must pass as long as nothing is broken ...", flush=True)
        before = run_tests(copies[0], tests, SECONDS_BEFORE)
        if before.code != 0:
            print(before.output)
            print("these tests do not pass: nothing was broken")
            return 2
        verdicts = []
        for verdict in try_all(copies, mutations, options.seconds):
            verdicts.append(verdict)
            line = f"{verdict.verdict:13}  {verdict.mutation.name:{width}}  {verdict.seconds:5.1f} s  {verdict.note}"
            print(line.rstrip(), flush=True)
    counts = Counter(verdict.verdict for verdict in verdicts)
    print(", ".join(f"{counts[word]} {word}" for word in (NOTICED, NOT_NOTICED, COULD_NOT_RUN)))
    return 0 if counts[NOTICED] == len(mutations) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
