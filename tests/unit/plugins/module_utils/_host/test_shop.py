# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.processes import Process, Socket
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.mongo_uri import (
    is_loopback,
    mongo_uri,
    parse_mongo_uri,
    password_quality,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.shop import (
    EXPOSED,
    LOOPBACK,
    UNKNOWN,
    api_port,
    choose_deployment,
    db_path,
    find_api,
    find_mongods,
    judge_exposure,
    native_mongo,
    ports_of,
)

ROOT = "/opt/miniecom"


def process(pid: int, name: str = "node", cwd: str = "/", **more: object) -> Process:
    values = {"exe": "/usr/bin/" + name, "argv": (name,), "start_time": pid, "user": "shop", "ppid": 1}
    return Process(**{"pid": pid, "cwd": cwd, **values, **more})  # type: ignore[arg-type]


def listens(pid: int | None, port: int, address: str = "127.0.0.1") -> Socket:
    return Socket("tcp", address, port, pid)


# -- the connection string ---------------------------------------------------------------------------------------------

WORDS = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=8, max_size=24)


@given(WORDS, WORDS, st.sampled_from(["shop", "handmade_harmony"]), st.booleans())
def test_no_piece_of_a_password_is_told(user: str, password: str, database: str, escaped: bool) -> None:
    told = password if not escaped else quote(password, safe="")
    uri = "mongodb://%s:%s@db.example:27018/%s?authSource=admin" % (quote(user, safe=""), told, database)
    found = parse_mongo_uri(uri, "MONGODB_URI")
    if escaped:
        assert (found.hosts, found.database, found.user) == ((("db.example", 27018),), database, user)
    # Whatever an unescaped string is taken for: what is shown of it are hosts and database.
    if not escaped and "@" not in password and "/" not in password and "?" not in password:
        shown = "%s %s" % (found.hosts, found.database)
        assert password not in shown


@pytest.mark.parametrize(
    ("uri", "hosts", "database", "more"),
    [
        ("mongodb://mongo/shop", (("mongo", 27017),), "shop", {"quality": "none"}),
        ("mongodb://a:1,b:2/shop?replicaSet=rs0", (("a", 1), ("b", 2)), "shop", {"replica_set": "rs0"}),
        ("mongodb+srv://u:p@cluster.example/shop", (("cluster.example", 27017),), "shop", {"srv": True, "tls": True}),
        ("mongodb://h?tls=true", (("h", 27017),), "", {"tls": True}),
        ("mongodb://[::1]:9/", (("::1", 9),), "", {}),
        ("mongodb://root:a/b@h:1/d", (("h", 1),), "d", {}),
        ("postgres", (), "", {}),
    ],
)
def test_connection_strings(uri: str, hosts: object, database: str, more: dict[str, object]) -> None:
    found = parse_mongo_uri(uri, "X")
    assert (found.hosts, found.database) == (hosts, database)
    assert {key: getattr(found, key) for key in more} == more


@given(st.text(max_size=200))
def test_any_text_is_taken_apart(uri: str) -> None:
    parse_mongo_uri(uri, "X")
    parse_mongo_uri("mongodb://" + uri, "X")


def test_which_variable_counts() -> None:
    both = {"MONGO_URI": "mongodb://a/x", "MONGODB_URI": "mongodb://b/y"}
    found = mongo_uri(both)
    assert found is not None and (found.source, found.database) == ("MONGODB_URI", "y")
    found = mongo_uri({**both, "MONGODB_URI": " "})
    assert found is not None and found.source == "MONGO_URI"
    assert mongo_uri({}) is None


@pytest.mark.parametrize(
    ("user", "password", "quality"),
    [
        ("admin", "", "none"),
        ("admin", "changeme", "default"),
        ("shop", "SHOP", "default"),
        ("a", "your-password-here", "default"),
        ("a", "change_me_please_now_123", "default"),
        ("a", "s3cr3t", "weak"),
        ("a", "aaaaaaaaaaaaaaaaaaaa1", "weak"),
        ("a", "onlylowercaseletters", "weak"),
        ("a", "8f3kd92lqm4xw1", "strong"),
    ],
)
def test_quality_of_passwords(user: str, password: str, quality: str) -> None:
    assert password_quality(user, password) == quality


# -- processes ----------------------------------------------------------------------------------------------------------


def test_the_api_is_what_listens_and_works_in_its_directory() -> None:
    api = process(50, cwd=ROOT + "/backend")
    others = [
        process(10, "bash", ROOT + "/backend"),
        process(11, "mongod", ROOT + "/backend"),
        process(12, "node", ROOT + "/backend", contained=True),
        process(13, "node", ROOT + "/frontend"),
        process(14, "node", "/srv/other/backend"),
        process(15, "node", ROOT + "/backend"),
    ]
    sockets = [listens(50, 3999), listens(13, 8080), listens(14, 3000), listens(12, 3001)]
    assert find_api([*others, api], sockets, ROOT) == api
    assert find_api(others, sockets, ROOT) == others[-1], "not listening yet, but in its directory"
    assert find_api(others[:5], sockets, ROOT) is None
    by_path = process(60, argv=("node", ROOT + "/backend/src/server.js"))
    assert find_api([by_path], [], ROOT) == by_path
    assert find_api([process(61, argv=("vim", "x"), cwd=ROOT)], [], ROOT) is None


@pytest.mark.parametrize(
    ("cwd", "argv"),
    [
        ("/", ("node", ROOT + "/backend/src/server.js")),
        (ROOT, ("node", "--max-old-space-size=512", "-r", "dotenv/config", "backend/src/server.js")),
        ("/srv", ("node", "/srv/current/backend/src/server.js")),
        ("/srv/current", ("node", "--enable-source-maps", "./backend/src/server.js")),
    ],
)
def test_the_api_is_found_wherever_it_works(cwd: str, argv: tuple[str, ...]) -> None:
    """With another working directory, through a link, with options before the script."""

    def real(path: str) -> str:
        return os.path.normpath(path).replace("/srv/current", ROOT)

    api = process(70, cwd=cwd, argv=argv)
    stranger = process(71, cwd="/srv/other", argv=("node", "backend/src/server.js"))
    sockets = [listens(70, 3001), listens(71, 3002)]
    assert find_api([stranger, api], sockets, ROOT, real) == api
    assert find_api([stranger], sockets, ROOT, real) is None


def test_of_a_cluster_the_first_process_and_all_its_ports() -> None:
    parent = process(50, cwd=ROOT + "/backend")
    child = process(51, cwd=ROOT + "/backend", ppid=50)
    sockets = [listens(50, 3001), listens(51, 3002), listens(99, 3003)]
    assert find_api([child, parent], sockets, ROOT) == parent
    assert [item.port for item in ports_of(parent, [parent, child], sockets)] == [3001, 3002]
    assert ports_of(None, [], sockets) == []


@pytest.mark.parametrize(
    ("env", "ports", "expected"),
    [
        ({}, [], 3001),
        ({"PORT": "5000"}, [], 5000),
        ({"PORT": "5000"}, [5000, 9229], 5000),
        ({"PORT": "5000"}, [3999], 3999),
        ({"PORT": "x"}, [], 3001),
        ({"PORT": "99999"}, [], 3001),
    ],
)
def test_the_port_of_the_api(env: dict[str, str], ports: list[int], expected: int) -> None:
    assert api_port(env, [listens(1, port) for port in ports])[0] == expected


API, MONGOD = process(50, cwd=ROOT + "/backend"), process(40, "mongod")


@pytest.mark.parametrize(
    ("engine", "project", "running", "api", "mongods", "file", "expected"),
    [
        ("", "miniecom", True, API, [MONGOD], True, "compose"),
        ("", "miniecom", False, API, [MONGOD], True, "native"),
        ("", "miniecom", False, None, [MONGOD], True, "compose"),
        ("", "", False, None, [MONGOD], True, "native"),
        ("", "", False, None, [], True, "compose"),
        ("", "", False, None, [], False, "native"),
        ("no engine", "", False, API, [], True, "native"),
        ("no engine", "", False, None, [MONGOD], True, "native"),
        ("no engine", "", False, None, [], False, "compose"),
    ],
)
def test_which_deployment(engine, project, running, api, mongods, file, expected) -> None:
    found = choose_deployment("auto", engine, project, running, api, mongods, file)
    assert found.deployment == expected and found.why
    assert choose_deployment("native", engine, project, running, api, mongods, file).deployment == "native"


def test_only_a_project_made_from_the_directory_is_more_than_an_api_that_runs_there() -> None:
    for by_directory, expected in ((True, "compose"), (False, "native")):
        assert choose_deployment("auto", "", "miniecom", True, API, [], True, by_directory).deployment == expected
    assert choose_deployment("auto", "", "miniecom", True, None, [MONGOD], True, False).deployment == "compose"


@pytest.mark.parametrize(
    ("uri", "sockets", "published", "state", "why"),
    [
        (None, [], [], UNKNOWN, "names no database"),
        ("mongodb+srv://cluster.example/shop", [listens(40, 27017)], [], UNKNOWN, "srv"),
        ("mongodb://db.example:27018/shop", [listens(40, 27018)], [], UNKNOWN, "on another machine (db.example)"),
        ("mongodb://localhost/shop", [], [], UNKNOWN, "nothing listens on port 27017"),
        ("mongodb://localhost/shop", [listens(None, 27017)], [], UNKNOWN, "become: true"),
        ("mongodb://localhost/shop", [listens(50, 27017)], [], UNKNOWN, "node, no mongod"),
        ("mongodb://localhost/shop", [listens(40, 27017)], [], LOOPBACK, "mongod"),
        ("mongodb://localhost/shop", [listens(40, 27017), listens(40, 27017, "::1")], [], LOOPBACK, "mongod"),
        ("mongodb://localhost/shop", [listens(50, 27017)], [("127.0.0.1", 27017)], LOOPBACK, "a container"),
        ("mongodb://localhost/shop", [], [("0.0.0.0", 27017)], EXPOSED, "27017"),
        ("mongodb://localhost/shop", [listens(None, 27017, "::")], [], EXPOSED, "27017"),
        ("mongodb://mongo:27018/shop", [listens(40, 27018, "10.0.0.5")], [], EXPOSED, "27018"),
        ("mongodb://localhost,db.example/shop", [listens(40, 27017)], [], UNKNOWN, "db.example"),
        ("mongodb://db.example,localhost/shop", [listens(40, 27017, "0.0.0.0")], [], EXPOSED, "27017"),
        ("mongodb://10.0.0.5/shop", [listens(40, 27017)], [], LOOPBACK, "mongod"),
    ],
)
def test_from_where_the_database_can_be_reached(uri, sockets, published, state, why) -> None:
    told = parse_mongo_uri(uri, "X") if uri else None
    found = judge_exposure(
        told, [API, MONGOD], sockets, published, lambda host: is_loopback(host) or host == "10.0.0.5"
    )
    assert found.state == state and why in found.why
    assert bool(found.addresses) is (state == EXPOSED)


@pytest.mark.parametrize(
    ("argv", "path"),
    [
        (["mongod", "--dbpath", "/d", "--port", "1"], "/d"),
        (["mongod", "--dbpath=/d"], "/d"),
        (["mongod", "--dbpath"], ""),
        (["mongod", "--config", "/etc/mongod.conf"], ""),
    ],
)
def test_the_directory_that_a_mongod_was_told(argv: list[str], path: str) -> None:
    assert db_path(argv) == path


def test_the_database_of_a_native_shop() -> None:
    uri = parse_mongo_uri("mongodb://127.0.0.1:27017/shop", "X")
    sockets = [listens(40, 27017, "0.0.0.0"), listens(41, 27018)]
    mongods = find_mongods([MONGOD, process(41, "mongod"), process(42, "mongod", contained=True)])
    assert [item.pid for item in mongods] == [40, 41]
    found = native_mongo(uri, mongods, sockets)
    assert (found.address, found.pid) == ("127.0.0.1:27017", 40)
    assert native_mongo(parse_mongo_uri("mongodb://a,b/shop", "X"), mongods, sockets).address == ""
    assert native_mongo(parse_mongo_uri("mongodb://h/shop?replicaSet=rs", "X"), mongods, sockets).address == ""
    assert native_mongo(parse_mongo_uri("mongodb://db.example/shop", "X"), mongods, sockets).pid is None
    by_name = parse_mongo_uri("mongodb://mongo:27018/shop", "X")
    assert native_mongo(by_name, mongods, sockets).address == "127.0.0.1:27018"
    elsewhere = native_mongo(parse_mongo_uri("mongodb://mongo:1/shop", "X"), [MONGOD], sockets)
    assert elsewhere.address == "127.0.0.1:27017" and elsewhere.exposure is not None
    assert elsewhere.exposure.addresses == ("0.0.0.0:27017",)
    odd = native_mongo(parse_mongo_uri("mongodb://mongo:1/shop", "X"), mongods, sockets)
    assert odd.warnings, "two servers run, and none where the name says"
    assert native_mongo(None, mongods, sockets).address == ""
