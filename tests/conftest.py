# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures that the tests share, and the guard around the machine's own Docker Engine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.sandbox.fetch import MONGOD_VERSION, MONGOD_VERSIONS, ProgramUnavailable, mongod_binary, mongod_environment
from tests.support import modules
from tests.support import old_python as oldest
from tests.support.extent import EXHAUSTIVE

if TYPE_CHECKING:
    from tests.sandbox.engine import Engine
    from tests.sandbox.mongod import Mongod

# No test judges time: on a busy machine an example takes as long as it takes. All else is as Hypothesis has it here or in CI.
settings.register_profile("unhurried", parent=settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("unhurried")

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
_missing: pytest.StashKey[set[str]] = pytest.StashKey()
_trap_file: pytest.StashKey[Path] = pytest.StashKey()


# -- the guard: no test opens the machine's default Docker socket ---------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "every_server(sampled=False): runs on every mongod, because the version may make a difference;"
        " sampled: on all but the first in make test-long alone",
    )
    config.addinivalue_line(
        "markers", "exhaustive: one more of a kind that make test has a sample of; in make test-long"
    )
    config.stash[_missing] = set()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        # Workers and all that the tests start inherit this.
        note = modules.ROOT / ".cache" / f"docker-socket-opened.{os.getpid()}"
        note.parent.mkdir(exist_ok=True)
        note.unlink(missing_ok=True)
        config.stash[_trap_file] = note
        os.environ["MINIECOM_TRAP_FILE"] = str(note)
        os.environ["DOCKER_HOST"] = modules.NO_DOCKER_HOST
        for name in ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
            os.environ.pop(name, None)
        path = [str(modules.TRAP), str(modules.ROOT / "collections"), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(part for part in path if part)
    # This process was started without the trap.
    import runpy

    runpy.run_path(str(modules.TRAP / "sitecustomize.py"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    note = session.config.stash.get(_trap_file, None)
    if note and note.exists():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    note = config.stash.get(_trap_file, None)
    if note and note.exists():
        terminalreporter.section("THE MACHINE'S DEFAULT DOCKER SOCKET WAS OPENED", red=True)
        terminalreporter.write(note.read_text())
        note.unlink()
    reasons = set()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if NOT_TESTED in reason:
            reasons.add(reason.partition(NOT_TESTED)[2])
    if reasons:
        terminalreporter.section("NOT TESTED ON THIS MACHINE", yellow=True, bold=True)
        for reason in sorted(reasons):
            terminalreporter.write_line(reason)


NOT_TESTED = "NOT TESTED: "
# Releases that move, such as Debian sid's, are no part of every run.
OTHER_RELEASES = NOT_TESTED + "Docker Engine 26 and 28, Podman: make test-engines"


def lacking(what: str) -> None:
    """The machine lacks something that tests need: a failure in CI, elsewhere a skip that is told loudly."""
    if IN_CI:
        pytest.fail(f"CI must have this: {what}", pytrace=False)
    pytest.skip(NOT_TESTED + what)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is one more of a kind to ``make test-long``; pytest counts it as deselected."""
    more = [item for item in items if not EXHAUSTIVE and item.get_closest_marker("exhaustive")]
    if more:
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]
        config.hook.pytest_deselected(items=more)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        lacking("other users and what only root may do: run as root")


# -- servers ----------------------------------------------------------------------------------------------------------


def server_versions(every: bool) -> tuple[str, ...]:
    """The versions of mongod that a test runs on.

    every: whether the test asks for all of them by its mark; the others run on the sandbox's own.
    MINIECOM_TEST_MONGOD says otherwise for all tests: "every", or one version.
    """
    wanted = os.environ.get("MINIECOM_TEST_MONGOD", "")
    if wanted and wanted != "every":
        if wanted not in MONGOD_VERSIONS:
            raise pytest.UsageError(f"MINIECOM_TEST_MONGOD is every or one of {', '.join(MONGOD_VERSIONS)}: {wanted}")
        return (wanted,)
    return MONGOD_VERSIONS if every or wanted else (MONGOD_VERSION,)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "mongod_version" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("every_server")
        versions = server_versions(mark is not None)
        later = pytest.mark.exhaustive if mark is not None and mark.kwargs.get("sampled") else ()
        params = [*versions[:1], *(pytest.param(version, marks=later) for version in versions[1:])]
        metafunc.parametrize("mongod_version", params, indirect=True, scope="session")


@pytest.fixture(scope="session")
def mongod_version(request: pytest.FixtureRequest) -> str:
    """The version of mongod that the test runs on: all of them, one after another, under the mark ``every_server``."""
    version = str(request.param)
    try:
        mongod_binary(version=version)
    except ProgramUnavailable as error:
        lacking(f"mongod {version}: {error}")
    return version


@pytest.fixture(scope="session")
def mongod(mongod_version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A running mongod with authentication on; its root password is ``mongod.root_password``."""
    from tests.sandbox.mongod import Mongod

    with Mongod(tmp_path_factory.mktemp("mongod"), auth=True, version=mongod_version) as server:
        yield server


@pytest.fixture
def mongod_libraries(mongod_version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module starts as the shop's own server finds its libraries, as it does on a host that has this server."""
    path = mongod_environment(mongod_version).get("LD_LIBRARY_PATH")
    if path:
        monkeypatch.setenv("LD_LIBRARY_PATH", path)


@pytest.fixture
def mongo_database(mongod: Mongod) -> Iterator[str]:
    """The name of a database that no other test uses; dropped afterwards."""
    name = f"test_{secrets.token_hex(4)}"
    yield name
    with mongod.client() as client:
        client.drop_database(name)


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A private Docker Engine; its address is ``docker_engine.docker_host``."""
    from tests.sandbox.engine import Engine, EngineUnavailable

    engine = Engine(tmp_path_factory.mktemp("engine"), release=os.environ.get("MINIECOM_TEST_ENGINE", "bookworm"))
    try:
        engine.start(tied=True)
    except EngineUnavailable as error:
        lacking(f"Docker: {error}")
    with engine:
        yield engine


@pytest.fixture(scope="session")
def old_python() -> Path:
    """The oldest Python that targets may have, with pymongo and docker: for ``run_module(python=...)``."""
    try:
        return oldest.old_python()
    except oldest.PythonUnavailable as error:
        lacking(f"oldest target Python: {error}")
        raise


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state directory that does not exist yet: the first run makes it."""
    return tmp_path / "state"
