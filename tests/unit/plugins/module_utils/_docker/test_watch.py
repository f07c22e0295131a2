# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A list of containers is believed as long as the engine's events let it: whatever is not known to be harmless ends it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker import watch
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.inventory import Container, Inventory, Volume
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.watch import Users, Watch, news_of


def event(kind: str, action: str, identity: str = "x") -> bytes:
    return json.dumps({"Type": kind, "Action": action, "Actor": {"ID": identity}}).encode()


@pytest.mark.parametrize(
    "line",
    [
        event("container", "create"),
        event("container", "start"),
        event("container", "rename"),
        event("container", "update"),
        event("network", "connect"),
        event("volume", "create"),
        event("service", "update"),
        event("container", "invented"),
        event("network", "exec_start: sh"),
        event("invented", "destroy"),
        b'{"Type": "container"}',
        b'{"Type": "cont',
        b"[]",
        b"null",
        b"\xff",
    ],
)
def test_what_may_bring_a_new_user_is_looked_into(line: bytes) -> None:
    assert news_of([event("container", "die"), line]).stale


def test_what_brings_none_is_not() -> None:
    lines = [event("container", "exec_create: sh -c ls"), event("container", "health_status: healthy")]
    lines += [event("container", "destroy", "cid"), event("volume", "destroy"), event("image", "delete")]
    news = news_of([*lines, event("builder", "prune"), event("network", "disconnect")])
    assert (news.stale, news.unclear) == (False, False)
    assert news.gone == {("container", "cid"), ("volume", "x"), ("image", "x")}
    assert news_of([]) == watch.News()


def test_of_many_events_at_once_some_may_be_lost() -> None:
    assert not news_of([event("container", "die")] * (watch.MANY_EVENTS - 1)).unclear
    many = news_of([event("container", "exec_start: sh")] * watch.MANY_EVENTS)
    assert many.unclear and many.stale


@given(st.binary())
def test_any_line_can_be_read(line: bytes) -> None:
    news_of([line])


class Engine:
    """A socket that tells the events which a test gives it."""

    def __init__(self, path: Path) -> None:
        self.engine = "docker"
        self.lanes: Any = SimpleNamespace(path=str(path), timeout=20.0)
        self.info = {"SystemTime": "2026-01-02T03:04:05.5Z"}
        self.api_version, self.docker_host = "1.41", f"unix://{path}"
        self.asked: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self.connection: socket.socket | None = None
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def errors(self, what: str, target: str) -> Any:
        return nullcontext()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            self.asked.append(connection.recv(4096))
            self.connection = connection
            connection.sendall(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n")

    def tell(self, data: bytes) -> None:
        assert self.connection is not None
        self.connection.sendall(data)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._accepting.join(20)
        if self.connection is not None:
            self.connection.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = Engine(tmp_path / "s")
    yield found
    found.close()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Users]:
    """Each full look, which finds one container more than the last."""
    found: list[Users] = []

    def look(_docker: Any) -> Users:
        containers = [
            Container(f"c{number}", f"n{number}", "a", "i", "exited", 1.0) for number in range(len(found) + 1)
        ]
        found.append(Users(tuple(containers)))
        return found[-1]

    monkeypatch.setattr(watch, "read_users", look)
    return found


def test_containers_are_listed_once_until_an_event_says_otherwise(engine: Engine, looks: list[Users]) -> None:
    docker: Any = engine
    seen = Watch(docker)
    assert seen.users() is seen.users() is looks[0]
    # From when the engine was asked about itself: what happened until it was listened to is told as well.
    assert engine.asked == [b"GET /v1.41/events?since=1767323045.500000 HTTP/1.0\r\nHost: docker\r\n\r\n"]
    engine.tell(event("container", "die") + b"\n")
    assert seen.users() is looks[0]
    engine.tell(event("container", "create") + b"\n")
    assert seen.users() is looks[1]
    engine.tell(event("container", "destroy", "c0") + b"\n")
    assert [item.id for item in seen.users().containers] == ["c1"]
    # The beginning of an event is one already.
    engine.tell(event("container", "die")[:9])
    assert len(seen.users().containers) == 3
    seen.close()


def observed(*names: str) -> Inventory:
    return Inventory(
        containers=tuple(Container(name, name, "a", "i", "exited", 1.0) for name in names),
        volumes=(Volume("v", "local", "/v", 1.0),),
    )


def test_what_was_observed_is_believed_until_an_event_says_otherwise(engine: Engine, looks: list[Users]) -> None:
    docker: Any = engine
    seen = Watch(docker)
    seen.listen()
    engine.tell(event("container", "die", "c1") + b"\n" + event("container", "destroy", "c2") + b"\n")
    seen.believe(observed("c1", "c2"))
    assert [item.id for item in seen.users().containers] == ["c1"] and list(seen.users().volumes) == ["v"]
    assert looks == [] and len(engine.asked) == 1
    engine.tell(event("container", "create") + b"\n")
    assert seen.users() is looks[0]
    seen.close()


@pytest.mark.parametrize("news", [event("network", "connect"), event("volume", "create"), b"nonsense"])
def test_what_was_observed_while_something_may_have_got_a_user_is_not(
    engine: Engine, looks: list[Users], news: bytes
) -> None:
    docker: Any = engine
    seen = Watch(docker)
    seen.listen()
    engine.tell(news + b"\n")
    seen.believe(observed("c1"))
    assert seen.users() is looks[0]
    seen.close()
    # Nor what was observed while nobody listened, or until the daemon went.
    seen = Watch(docker)
    seen.believe(observed("c1"))
    assert seen.users() is looks[1]
    seen.close()
    seen = Watch(docker)
    seen.listen()
    assert engine.connection is not None
    engine.connection.close()
    seen.believe(observed("c1"))
    assert seen.users() is looks[2]
    seen.close()


def test_after_the_events_have_ended_everything_is_looked_at_again(engine: Engine, looks: list[Users]) -> None:
    docker: Any = engine
    seen = Watch(docker)
    seen.users()
    assert engine.connection is not None
    engine.connection.close()
    assert seen.users() is looks[1]
    assert len(engine.asked) == 2
    assert seen.users() is looks[1]
    seen.close()


def test_only_what_nobody_has_touched_is_known(engine: Engine, looks: list[Users]) -> None:
    docker: Any = engine
    seen = Watch(docker)
    seen.users()
    assert not seen.untouched("container", "one"), "nothing of our own tells what was before"
    engine.tell(event("container", "start", "two") + b"\n" + event("container", "exec_create: ls", "three") + b"\n")
    engine.tell(event("volume", "create", "four") + b"\n")
    seen.removed("container", "zero")
    # What was published before the event of one's own removal is waited for.
    threading.Timer(0.2, engine.tell, [event("container", "update", "five") + b"\n"]).start()
    threading.Timer(0.4, engine.tell, [event("container", "destroy", "zero") + b"\n"]).start()
    known = [seen.untouched("container", name) for name in ("one", "two", "three", "five")]
    assert known == [True, False, True, False]
    assert not seen.untouched("volume", "four") and seen.untouched("volume", "one")
    engine.tell(event("image", "untag") + b"\n" + event("image", "delete") + b"\n")
    assert seen.untouched("image", "one")
    engine.tell(event("image", "tag", "another") + b"\n")
    assert not seen.untouched("image", "one"), "nobody knows whose name it was"
    found: list[bool] = []
    other = threading.Thread(target=lambda: found.append(seen.untouched("container", "one")))
    other.start()
    other.join()
    assert found == [False], "each thread has a last removal of its own"
    engine.tell(b"nonsense\n")
    assert not seen.untouched("container", "one")
    seen.close()


def test_nothing_is_known_where_ones_own_removal_is_not_told_or_the_events_end(
    engine: Engine, looks: list[Users], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_OWN_EVENT_SECONDS", 0.1)
    docker: Any = engine
    seen = Watch(docker)
    seen.users()
    seen.removed("container", "zero")
    assert not seen.untouched("container", "one")
    assert seen.users() is looks[1], "nor what uses it"
    seen.close()
    seen = Watch(docker)
    seen.users()
    engine.tell(event("container", "destroy", "zero") + b"\n")
    seen.removed("container", "zero")
    assert seen.untouched("container", "one") and engine.connection is not None
    engine.connection.close()
    assert not seen.untouched("container", "one") and not seen.untouched("container", "one")
    seen.close()


def test_a_full_look_is_shared_by_those_who_asked_before_it_began(
    engine: Engine, looks: list[Users], monkeypatch: pytest.MonkeyPatch
) -> None:
    docker: Any = engine
    seen = Watch(docker)
    assert seen.look() is not seen.look(), "what was seen before somebody asks is too old"
    begun, proceed = threading.Event(), threading.Event()
    real = watch.read_users

    def slow(docker: Any) -> Users:
        begun.set()
        assert proceed.wait(20)
        return real(docker)

    monkeypatch.setattr(watch, "read_users", slow)
    asked = threading.Semaphore(0)

    def clock() -> float:
        asked.release()
        return time.monotonic()

    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=clock))
    found: list[Users] = []
    threads = [threading.Thread(target=lambda: found.append(seen.look())) for _ in range(4)]
    threads[0].start()
    assert begun.wait(20)
    for _ in range(2):
        asked.acquire()
    for thread in threads[1:]:
        thread.start()
        assert asked.acquire(timeout=20)
    proceed.set()
    for thread in threads:
        thread.join(20)
    # One for the first, and one for all who asked while that was under way.
    assert len(looks) == 4 and sorted(found.count(look) for look in looks) == [0, 0, 1, 3]


def test_what_uses_a_network_is_told_by_events_and_by_those_who_are_in_it(
    engine: Engine, looks: list[Users], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def connected_now(_docker: Any, **parameters: Any) -> list[Container]:
        asked.append(parameters)
        return [Container("silent", "silent", "a", "i", "created", 1.0)]

    monkeypatch.setattr(watch, "read_containers", connected_now)
    docker: Any = engine
    seen = Watch(docker)
    assert [item.id for item in seen.network("nid", "net")] == ["silent", "c0"]
    assert asked == [{"filters": '{"network": ["nid", "net"]}'}]
    engine.tell(event("container", "create") + b"\n")
    assert [item.id for item in seen.network("nid", "net")] == ["silent", "c0", "c1"]
    assert len(looks) == len(asked) == 2
    engine.engine = "podman"
    seen.network("nid", "net")
    seen.network("nid", "net")
    assert (len(looks), len(asked)) == (4, 2), "without events all are asked for"
    seen.close()


@pytest.mark.parametrize("fact", [{"engine": "podman"}, {"lanes": None}])
def test_where_events_are_not_relied_on_everything_is_looked_at_each_time(
    engine: Engine, looks: list[Users], fact: dict[str, Any]
) -> None:
    for name, value in fact.items():
        setattr(engine, name, value)
    docker: Any = engine
    seen = Watch(docker)
    assert seen.users() is not seen.users()
    assert not seen.untouched("container", "one")
    assert (len(looks), engine.asked) == (2, [])
