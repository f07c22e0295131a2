# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docker_logs against a real engine: each line once, whatever happens between two collections."""

from __future__ import annotations

import gzip
import os
import signal
import stat
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.engine import Engine, base_image
from tests.support.kill import kill_at_every_change
from tests.support.modules import finish_module, run_module, start_module, wait_until_stopped

Start = Callable[..., str]


@pytest.fixture
def start(docker_engine: Engine) -> Iterator[Start]:
    """Start a container that waits to be told what to say; removed at the end."""
    image = base_image(docker_engine)
    made: list[str] = []

    def run(name: str, *options: str, command: str = "sleep infinity") -> str:
        made.append(name)
        docker_engine.docker("run", "-d", "--name", name, *options, image, "sh", "-c", command)
        return name

    yield run
    for name in dict.fromkeys(made):
        docker_engine.docker("rm", "-f", name)


def say(engine: Engine, name: str, *lines: str, stream: int = 1) -> None:
    engine.docker("exec", name, "sh", "-c", f'printf "%s\\n" "$@" > /proc/1/fd/{stream}', "sh", *lines)


def collect(engine: Engine, tmp_path: Path, check: bool = False, **options: Any) -> dict[str, Any]:
    result = run_module("docker_logs", parameters(engine, tmp_path, **options), check=check)
    assert not result.failed, result.msg
    return result.result


def parameters(engine: Engine, tmp_path: Path, **options: Any) -> dict[str, Any]:
    return {
        "docker_host": engine.docker_host,
        "dest": tmp_path / "logs",
        "state_dir": tmp_path / "state",
        "compose_project": "shop",
        **options,
    }


TORN = ".20210101T000000Z-0123456789ab-000009.log.gz.miniecom-partial"
SHOP = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=api")


def files(tmp_path: Path, name: str) -> list[Path]:
    return sorted((tmp_path / "logs" / name).glob("*.log.gz"))


def written(tmp_path: Path, name: str) -> list[str]:
    """The lines of all collections of a container, in order, pieces put together."""
    found, open_line = [], ""
    for path in files(tmp_path, name):
        for line in gzip.decompress(path.read_bytes()).decode("latin-1").splitlines():
            _, _, tag, text = line.split(" ", 3)
            open_line += text
            if tag == "F":
                found.append(open_line)
                open_line = ""
    return found


def test_each_line_once_and_check_mode_tells_it(docker_engine: Engine, start: Start, tmp_path: Path) -> None:
    start("logs-api", *SHOP)
    start("logs-other")
    say(docker_engine, "logs-api", "one", "two")
    say(docker_engine, "logs-api", "[ERROR] payment 4711 failed", stream=2)
    say(docker_engine, "logs-other", "of another project")
    checked = collect(docker_engine, tmp_path, check=True)
    assert checked["changed"] is True
    assert [(item["target"], item["reason"][:12]) for item in checked["plan"]] == [("logs-api", "3 new lines ")]
    assert not (tmp_path / "logs").exists() and not (tmp_path / "state").exists()
    done = collect(docker_engine, tmp_path)
    assert done["changed"] is True
    assert done["summary"]["lines"] == checked["summary"]["lines"] == 3
    assert written(tmp_path, "logs-api") == ["one", "two", "[ERROR] payment 4711 failed"]
    assert [kind["message"] for kind in done["errors"]] == ["[ERROR] payment # failed"]
    assert not (tmp_path / "logs" / "logs-other").exists()
    for path in [tmp_path / "logs", *(tmp_path / "logs").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path

    lately = collect(docker_engine, tmp_path, fresh_within="1h")
    assert lately["changed"] is False and lately["kept"][0]["reason"].startswith("collected ")
    again = collect(docker_engine, tmp_path)
    assert again["changed"] is False
    assert [action["status"] for action in again["actions"]] == ["skipped"]
    assert collect(docker_engine, tmp_path, check=True)["changed"] is False
    assert len(files(tmp_path, "logs-api")) == 1

    say(docker_engine, "logs-api", "three", "", "x" * 40_000, "[ERROR] payment 4712 failed", "[ERROR] new one")
    third = collect(docker_engine, tmp_path)
    assert written(tmp_path, "logs-api")[3:] == [
        "three",
        "",
        "x" * 40_000,
        "[ERROR] payment 4712 failed",
        "[ERROR] new one",
    ]
    assert third["summary"]["lines"] == 5
    assert [(kind["message"], kind["new"]) for kind in third["errors"]] == [
        ("[ERROR] new one", True),
        ("[ERROR] payment # failed", False),
    ]
    assert third["summary"]["new_kinds"] == 1
    told = "; 2 errors of 2 kinds, 1 of them new: api: [ERROR] new one (1); api: [ERROR] payment # failed (1)"
    assert told in third["summary"]["headline"]


def test_a_container_that_writes_all_the_time(docker_engine: Engine, start: Start, tmp_path: Path) -> None:
    number = 40_000
    wait = "until [ -e /go ]; do sleep 0.1; done"
    start("logs-busy", *SHOP, command=f"seq 1 {number}; {wait}; seq {number + 1} {2 * number}; sleep infinity")
    collect(docker_engine, tmp_path)
    docker_engine.docker("exec", "logs-busy", "touch", "/go")
    while written(tmp_path, "logs-busy")[-1:] != [str(2 * number)]:
        collect(docker_engine, tmp_path)
    assert len(files(tmp_path, "logs-busy")) > 1
    assert written(tmp_path, "logs-busy") == [str(line) for line in range(1, 2 * number + 1)]


def test_a_terminals_log(docker_engine: Engine, start: Start, tmp_path: Path) -> None:
    start(
        "logs-tty",
        "-t",
        *SHOP,
        command="stty -onlcr; echo one; head -c 40000 /dev/zero | tr '\\0' y; echo; sleep infinity",
    )
    while collect(docker_engine, tmp_path)["changed"] or not files(tmp_path, "logs-tty"):
        pass
    say(docker_engine, "logs-tty", "three")
    collect(docker_engine, tmp_path)
    assert written(tmp_path, "logs-tty") == ["one", "y" * 40_000, "three"]


def test_lines_that_were_rotated_away_are_told(docker_engine: Engine, start: Start, tmp_path: Path) -> None:
    start("logs-small", *SHOP, "--log-driver", "json-file", "--log-opt", "max-size=2k", "--log-opt", "max-file=2")
    say(docker_engine, "logs-small", "first")
    collect(docker_engine, tmp_path)
    lines = [f"line {number} {'z' * 60}" for number in range(200)]
    say(docker_engine, "logs-small", *lines)
    result = run_module("docker_logs", parameters(docker_engine, tmp_path))
    assert "logs-small: its log no longer reaches back" in result.output
    assert result.result["collections"][0]["gap"] is True
    kept = written(tmp_path, "logs-small")
    assert kept[0] == "first"
    assert 5 < len(kept) < 200 and kept[1:] == lines[1 - len(kept) :]
    assert collect(docker_engine, tmp_path)["changed"] is False


def test_a_container_made_anew_is_another_log(docker_engine: Engine, start: Start, tmp_path: Path) -> None:
    start("logs-anew", *SHOP)
    say(docker_engine, "logs-anew", "of the old one")
    collect(docker_engine, tmp_path)
    docker_engine.docker("rm", "-f", "logs-anew")
    start("logs-anew", *SHOP)
    say(docker_engine, "logs-anew", "of the new one")
    collect(docker_engine, tmp_path)
    assert len({path.name.split("-")[1] for path in files(tmp_path, "logs-anew")}) == 2
    assert written(tmp_path, "logs-anew") == ["of the old one", "of the new one"]


def test_killed_at_any_change(docker_engine: Engine, start: Start, tmp_path: Path) -> None:
    start("logs-killed", *SHOP)
    say(docker_engine, "logs-killed", "one", "two")

    def prepare(world: Path) -> tuple[str, dict[str, Any]]:
        return "docker_logs", parameters(docker_engine, world)

    def inspect(world: Path) -> None:
        say(docker_engine, "logs-killed", "later")
        collect(docker_engine, world)
        counts = Counter(written(world, "logs-killed"))
        assert counts["one"] == counts["two"] == 1
        assert counts["later"] == int(docker_engine.docker("logs", "logs-killed").count("later"))

    assert kill_at_every_change(tmp_path, prepare, inspect) > 5


def test_a_daemon_that_goes_while_logs_are_collected(docker_engine: Engine, start: Start, tmp_path: Path) -> None:
    start("logs-daemon", *SHOP, command="trap exit TERM; sleep infinity & wait")
    say(docker_engine, "logs-daemon", "one", "two")
    process = start_module("docker_logs", parameters(docker_engine, tmp_path), stop_at=0)
    wait_until_stopped(process)
    docker_engine.pause_daemon()
    try:
        process.send_signal(signal.SIGCONT)
        failed = finish_module(process)
    finally:
        docker_engine.restart()
    assert failed.failed and "Docker Engine" in failed.msg and "defect" not in failed.msg, failed.msg
    assert [action["status"] for action in failed.result["actions"]] == ["failed"]
    assert written(tmp_path, "logs-daemon") == []
    docker_engine.docker("start", "logs-daemon")
    say(docker_engine, "logs-daemon", "later")
    collect(docker_engine, tmp_path)
    assert written(tmp_path, "logs-daemon") == ["one", "two", "later"]


def test_what_was_noted_is_lost(docker_engine: Engine, start: Start, tmp_path: Path) -> None:
    """The files themselves say where they end."""
    start("logs-noted", *SHOP)
    say(docker_engine, "logs-noted", "one", "one")
    collect(docker_engine, tmp_path)
    (tmp_path / "state" / "history" / "container-logs.json").unlink()
    say(docker_engine, "logs-noted", "two")
    collect(docker_engine, tmp_path)
    assert written(tmp_path, "logs-noted") == ["one", "one", "two"]
    newest = files(tmp_path, "logs-noted")[-1]
    newest.write_bytes(newest.read_bytes()[:-9])
    (tmp_path / "state" / "history" / "container-logs.json").write_text("{")
    damaged = run_module("docker_logs", parameters(docker_engine, tmp_path))
    assert damaged.failed and newest.name in damaged.msg and "Move it away" in damaged.msg


def test_what_cannot_be_read_and_what_has_no_limit(docker_engine: Engine, start: Start, tmp_path: Path) -> None:
    start("logs-none", *SHOP, "--log-driver", "none")
    start("logs-local", *SHOP, "--log-driver", "local")
    start("logs-unlimited", *SHOP, "--log-driver", "json-file")
    start("logs-limited", *SHOP, "--log-driver", "json-file", "--log-opt", "max-size=1m")
    say(docker_engine, "logs-local", "of the driver local")
    found = collect(docker_engine, tmp_path)
    assert {"target": "logs-none", "reason": "its log driver (none) keeps nothing"} in found["kept"]
    assert written(tmp_path, "logs-local") == ["of the driver local"]
    assert [item["container"] for item in found["unlimited"]] == ["logs-unlimited"]
    assert "service api" in found["unlimited"][0]["remedy"]
    assert found["summary"]["unlimited"] == 1


def test_old_collections_go_and_the_newest_of_each_container_stays(
    docker_engine: Engine, start: Start, tmp_path: Path
) -> None:
    directory = tmp_path / "logs" / "logs-gone"
    directory.mkdir(parents=True)
    names = [f"202{year}0101T000000Z-0123456789ab-00000{year}.log.gz" for year in range(1, 6)]
    for name in [*names, "notes.txt", TORN]:
        (directory / name).write_bytes(b"x" * 1000)
        os.utime(directory / name, (1_600_000_000,) * 2)
    unlimited = collect(docker_engine, tmp_path, remove_after="0", max_size="0")
    assert [Path(action["target"]).name for action in unlimited["actions"]] == [TORN]
    assert sorted(path.name for path in directory.iterdir()) == [*names, "notes.txt"]
    options = {"max_size": "2500"}
    checked = collect(docker_engine, tmp_path, check=True, **options)
    done = collect(docker_engine, tmp_path, **options)
    assert [Path(action["target"]).name for action in done["actions"]] == names[:3]
    assert [item["target"] for item in checked["plan"]] == [item["target"] for item in done["plan"]]
    collect(docker_engine, tmp_path, max_size="1")
    assert sorted(path.name for path in directory.iterdir()) == [names[-1], "notes.txt"]
    collect(docker_engine, tmp_path, remove_after="30d")
    assert sorted(path.name for path in directory.iterdir()) == ["notes.txt"]


def test_a_full_disk_costs_nothing(docker_engine: Engine, start: Start, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path / "logs"], check=True)
    try:
        start("logs-full", *SHOP, command="head -c 300000 /dev/urandom | base64; sleep infinity")
        start("logs-tiny", *SHOP, command="echo tiny; sleep infinity")
        while len(docker_engine.docker("logs", "logs-full")) < 400_000:
            pass
        full = run_module("docker_logs", parameters(docker_engine, tmp_path))
        assert full.failed and "ENOSPC" in full.msg and "logs-full" in full.msg
        assert not list((tmp_path / "logs" / "logs-full").iterdir())
        # The other one is collected all the same.
        assert written(tmp_path, "logs-tiny") == ["tiny"]
        subprocess.run(["mount", "-o", "remount,size=4m", tmp_path / "logs"], check=True)
        collect(docker_engine, tmp_path)
        assert "\n".join(written(tmp_path, "logs-full")) == docker_engine.docker("logs", "logs-full").strip()
    finally:
        subprocess.run(["umount", tmp_path / "logs"], check=True)


def test_no_engine(tmp_path: Path) -> None:
    result = run_module(
        "docker_logs",
        {"docker_host": f"unix://{tmp_path}/none.sock", "dest": tmp_path / "logs", "state_dir": tmp_path / "state"},
    )
    assert result.failed and "systemctl start docker" in result.msg
    assert not (tmp_path / "logs").exists()


def test_the_oldest_python(docker_engine: Engine, start: Start, tmp_path: Path, old_python: Path) -> None:
    start("logs-old", *SHOP)
    say(docker_engine, "logs-old", "one")
    result = run_module("docker_logs", parameters(docker_engine, tmp_path), python=old_python)
    assert not result.failed, result.msg
    assert written(tmp_path, "logs-old") == ["one"]
