# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way in which a connection can fail, against a real mongod: what is said, and that no secret is."""

from __future__ import annotations

import re
import shutil
import time
from urllib.parse import quote, quote_plus

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import client
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.errors import mongo_errors
from tests.sandbox.mongod import Mongod, free_port
from tests.support.driver_end import driver_end
from tests.support.modules import run_module

# Longer than what is masked everywhere, and with every character that has a meaning in a connection string.
PASSWORD = "cAnary+p@ss:w/o?r#d%zz end"
ENCODED = quote(PASSWORD, safe="")
SMALL = re.sub("%..", lambda escape: escape.group().lower(), ENCODED)


@pytest.fixture(scope="module")
def user(mongod):
    with mongod.client() as admin:
        admin.admin.command("createUser", "canary@shop", pwd=PASSWORD, roles=["root"])
        admin.admin.command("createUser", "reader", pwd="cAnary-reader", roles=[{"role": "read", "db": "shop"}])
    yield f"canary%40shop:{ENCODED}"
    with mongod.client() as admin:
        admin.admin.command("dropUser", "canary@shop")
        admin.admin.command("dropUser", "reader")


def opened(**params):
    return client.connect({"connect_timeout": 1, **params})


def failure(**params) -> str:
    with pytest.raises(MaintenanceError) as caught:
        opened(**params).close()
    text = str(caught.value)
    pieces = ("cAnary", "w/o", "zz end", "p@ss")
    assert not [piece for piece in pieces if piece in text], text
    assert caught.value.next_step, "it says what to do"
    return text


def test_no_thread_of_the_driver_is_waited_for_at_the_end(mongod, user):
    """Each sleeps for half a second at a time."""
    assert driver_end(uri=f"mongodb://{user}@{mongod.address}/shop?authSource=admin") == ["standalone"]


def test_connects_and_knows_the_server(mongod, user):
    with opened(uri=f"mongodb://{user}@{mongod.address}/shop?authSource=admin") as connection:
        assert connection.database_name == "shop"
        assert (connection.server.topology, connection.server.state) == ("standalone", "primary")
        assert connection.server.version_array >= (6, 0)
        assert connection.address.direct
        assert PASSWORD not in repr(connection.address) and ENCODED not in repr(connection.address)


def test_plus_sign_is_itself_as_in_the_shops_driver(mongod):
    with mongod.client() as admin:
        admin.admin.command("createUser", "plus", pwd="a+b c+", roles=["root"])
    with opened(uri=f"mongodb://plus:a+b%20c+@{mongod.address}/shop?authSource=admin") as connection:
        assert connection.address.password == "a+b c+"


def test_options_of_the_node_driver_are_no_mistake(mongod, user):
    query = "authSource=admin&useNewUrlParser=true&useUnifiedTopology=true&retryWrites=true&w=majority"
    opened(uri=f"mongodb://{user}@{mongod.address}/shop?{query}").close()


def test_address_replaces_the_hosts(mongod, user):
    uri = f"mongodb://{user}@mongo:27017,mongo2:27017/shop?authSource=admin"
    with opened(uri=uri, address=mongod.address) as connection:
        assert connection.address.where == mongod.address
        assert connection.database_name == "shop"


def test_wrong_password(mongod, user):
    text = failure(uri=f"mongodb://root:cAnary-wrong@{mongod.address}/shop?authSource=admin")
    assert "18 AuthenticationFailed" in text and "authSource" in text and "'root'" in text


def test_wrong_auth_source(mongod, user):
    assert "18 AuthenticationFailed" in failure(uri=f"mongodb://{user}@{mongod.address}/shop")


def test_no_credentials_although_ping_and_hello_succeed(mongod):
    text = failure(uri=f"mongodb://{mongod.address}/shop")
    assert "13 Unauthorized" in text and "requires authentication" in text and "names none" in text


def test_refused(user):
    text = failure(uri=f"mongodb://{user}@127.0.0.1:{free_port()}/shop?authSource=admin")
    assert "connection refused" in text and "is mongod running" in text


def test_name_that_does_not_resolve(user):
    text = failure(uri=f"mongodb://{user}@mongo.invalid/shop?authSource=admin")
    assert "cannot be resolved" in text and "compose network" in text and "mongo.invalid:27017" in text


def test_srv_name_without_dns(user):
    assert "DNS" in failure(uri=f"mongodb+srv://{user}@shop.invalid.example/shop?authSource=admin")


def test_tls_to_a_server_without(mongod, user):
    assert "TLS" in failure(uri=f"mongodb://{user}@{mongod.address}/shop?authSource=admin&tls=true")


def test_wrong_replica_set_name(mongod, user):
    assert "replica set" in failure(uri=f"mongodb://{user}@{mongod.address}/shop?authSource=admin&replicaSet=rsX")


def test_mechanism_not_offered(mongod, user):
    text = failure(uri=f"mongodb://{user}@{mongod.address}/shop?authSource=admin&authMechanism=PLAIN")
    assert "334 MechanismUnavailable" in text


@pytest.mark.parametrize(
    "password",
    [PASSWORD, "cAnary/x", "12/cAnary", "cAnary?x", "cAnary#x", "cAnary@x", "cAnary:x", "cAnary%zz", "1?cAnary=b&x"],
)
@pytest.mark.parametrize("tail", ["", "/shop?authSource=admin"])
def test_unescaped_password(mongod, password, tail):
    assert "percent-encoding" in failure(uri=f"mongodb://root:{password}@{mongod.address}{tail}")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("postgres://root:cAnary@h/shop", "neither mongodb://"),
        ("mongodb://", "no host"),
        ("mongodb://root:cAnary@/shop", "no host"),
        ("mongodb://root:cAnary@h:99999/shop", "port"),
        ("mongodb://root:cAnary@h:abc/shop", "port"),
        ("mongodb://root:cAnary/shop", "port"),
        ("mongodb://root@h/shop", "no password"),
        ("mongodb://root:cAnary@h/sh.op", "database name"),
        ("mongodb://root:cAnary@h/shop?foo=cAnary", "unknown option foo"),
        ("mongodb://root:cAnary@h/shop?tls=cAnary", "option tls"),
        ("mongodb://root:cAnary@h/shop?authMechanism=cAnary", "option authMechanism"),
        ("mongodb://root:cAnary@h,i/shop?directConnection=true", "one host"),
        ("mongodb://root:cAnary@h/shop?tls=true&tlsCAFile=/no/such/file", "tlsCAFile"),
    ],
)
def test_bad_connection_string(uri, said):
    assert said in failure(uri=uri)


@pytest.mark.parametrize("address", ["host name", "h:0", "h:70000", "mongodb://root:cAnary@h", "h:1:2"])
def test_bad_address(address):
    assert "HOST:PORT" in failure(uri="mongodb://h/shop", address=address)


@pytest.mark.parametrize(
    ("lines", "database"),
    [
        ("MONGODB_URI={first}\nMONGO_URI={second}\n", "one"),
        ("MONGO_URI={second}\nMONGODB_URI={first}\n", "one"),
        ("MONGO_URI={second}\n", "two"),
        ("MONGODB_URI=\nMONGO_URI={second}\n", "two"),
        ("export MONGODB_URI='{first}' # comment\r\nOTHER=\"it's\"\r\n", "one"),
        ("MONGODB_URI={second}\nMONGODB_URI={first}\n", "one"),
    ],
)
def test_env_file(mongod, user, tmp_path, lines, database):
    first, second = (f"mongodb://{user}@mongo:27017/{name}?authSource=admin" for name in ("one", "two"))
    path = tmp_path / ".env"
    path.write_text(lines.format(first=first, second=second), newline="")
    with opened(env_file=str(path), address=mongod.address) as connection:
        assert connection.database_name == database


def test_env_file_without_a_connection_string(tmp_path):
    (tmp_path / ".env").write_text("PORT=3001\n")
    assert "neither MONGODB_URI nor MONGO_URI" in failure(env_file=str(tmp_path / ".env"))


def test_env_file_missing_or_not_readable(tmp_path):
    assert "ENOENT" in failure(env_file=str(tmp_path / "none"))
    assert "EISDIR" in failure(env_file=str(tmp_path))


def test_user_without_the_privilege(mongod, user):
    uri = f"mongodb://reader:cAnary-reader@{mongod.address}/shop?authSource=admin"
    refused = pytest.raises(MaintenanceError)
    with opened(uri=uri) as connection, refused as caught, mongo_errors("cannot compact", "shop.orders"):
        connection.client.shop.command({"compact": "orders", "comment": "cAnary"})
    text = str(caught.value)
    assert (
        "13 Unauthorized" in text and "dbAdmin" in text and "execute command compact" in text and "cAnary" not in text
    )


def test_document_that_is_too_large_is_no_driver_error(mongod, mongo_database):
    refused = pytest.raises(MaintenanceError)
    with opened(uri=mongod.uri_for(mongo_database)) as connection, refused, mongo_errors("cannot delete", "x.y"):
        connection.client[mongo_database].x.delete_many({"a": {"$nin": ["x" * 1024] * 20000}})


def test_unknown_database_is_said_with_what_there_is(mongod):
    with opened(uri=mongod.uri_for("nosuchshop")) as connection, pytest.raises(MaintenanceError) as caught:
        connection.require_database()
    assert "nosuchshop" in str(caught.value) and "admin" in str(caught.value)


@pytest.mark.parametrize("form", [PASSWORD, ENCODED, quote_plus(PASSWORD), SMALL])
def test_no_form_of_the_password_leaves_a_module(mongod, user, state_dir, form):
    """The server, or a path, may repeat the password in any spelling: nothing of it comes out."""
    uri = f"mongodb://{user}@{mongod.address}/shop?authSource=admin"
    result = run_module("mongo_info", {"uri": uri, "databases": [f"x {form}"], "state_dir": state_dir})
    assert result.failed
    # What the caller wrote into other options is Ansible's to show, and only there.
    result.result.pop("invocation", None)
    assert form not in str(result.result)
    assert "cAnary" not in str(result.result.get("msg"))


# -- members of a replica set -------------------------------------------------------------------------------------------


class Uninitiated(Mongod):
    """A member that nobody has taken into a set yet."""

    def _set_up(self):
        pass


def test_a_member_that_has_no_users_yet_says_which_state_it_is_in(tmp_path):
    with Uninitiated(tmp_path, auth=True, replica_set="rs0") as member:
        uri = f"mongodb://root:cAnary-right@{member.address}/shop?authSource=admin"
        text = failure(uri=uri)
        assert "STARTUP" in text and "also the right one" in text and "18 AuthenticationFailed" in text
        assert "STARTUP" in failure(uri=f"{uri}&replicaSet=rs0", address=member.address)


def take_in(primary, directory, **parameters):
    """Start a member and have the set of a primary take it in."""
    directory.mkdir()
    shutil.copy(primary.directory / "keyfile", directory / "keyfile")
    member = Uninitiated(directory, auth=True, replica_set="rs0", parameters=parameters)
    member.start()
    member.root_password = primary.root_password
    with primary.client() as client_:
        config = client_.admin.command("replSetGetConfig")["config"]
        config["version"] += 1
        config["members"].append({"_id": 1, "host": member.address, "priority": 0, "votes": 0})
        client_.admin.command("replSetReconfig", config)
    return member


def wait_for_state(primary, member, wanted):
    deadline = time.monotonic() + 60
    with primary.client() as client_:
        while True:
            states = {
                entry["name"]: entry["stateStr"] for entry in client_.admin.command("replSetGetStatus")["members"]
            }
            if states[member.address] == wanted:
                return
            assert time.monotonic() < deadline, states
            time.sleep(0.1)


def test_a_member_in_its_initial_sync_says_so(tmp_path):
    held = {"enableTestCommands": "1", "failpoint.initialSyncHangBeforeCopyingDatabases": "{mode: 'alwaysOn'}"}
    with Mongod(tmp_path / "one", auth=True, replica_set="rs0") as primary:
        member = take_in(primary, tmp_path / "two", **held)
        try:
            wait_for_state(primary, member, "STARTUP2")
            login = f"mongodb://root:{quote(primary.root_password)}@{member.address}/shop?authSource=admin"
            for uri in (login, login + "&replicaSet=rs0"):
                text = failure(uri=uri, address=member.address)
                assert "STARTUP2" in text and "also the right one" in text
        finally:
            member.kill()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A primary and a secondary with authentication."""
    directory = tmp_path_factory.mktemp("pair")
    with Mongod(directory / "one", auth=True, replica_set="rs0") as primary:
        secondary = take_in(primary, directory / "two")
        with secondary, primary.client() as client_:
            client_.shop.orders.insert_one({"n": 1})
            wait_for_state(primary, secondary, "SECONDARY")
            yield primary, secondary


def test_the_member_in_the_string_is_the_one_that_is_asked(pair):
    primary, secondary = pair
    login = f"mongodb://root:{quote(primary.root_password)}@"
    tail = "/shop?authSource=admin&replicaSet=rs0&readPreference=secondary"
    with client.connect_member({"uri": f"{login}{secondary.address}{tail}"}) as connection:
        assert (connection.server.state, connection.server.name) == ("secondary", secondary.address)
        assert connection.client.shop.command("collStats", "orders")["count"] == 1
    several = f"{login}{secondary.address},{primary.address}{tail}"
    with client.connect_member({"uri": several}) as connection:
        assert (connection.server.state, connection.address.where) == ("primary", primary.address)
        assert connection.address.direct
    with client.connect_member({"uri": several, "address": secondary.address}) as connection:
        assert connection.server.state == "secondary"


def test_figures_are_those_of_the_member_in_the_string(pair, state_dir):
    primary, secondary = pair
    uri = f"mongodb://root:{quote(primary.root_password)}@{secondary.address}/shop?authSource=admin&replicaSet=rs0"
    result = run_module("mongo_info", {"uri": uri, "state_dir": state_dir})
    assert not result.failed, result.msg
    assert (result.result["server"]["state"], result.result["server"]["address"]) == ("secondary", secondary.address)


def test_wrong_password_of_a_secondary_is_just_that(pair):
    _primary, secondary = pair
    text = failure(uri=f"mongodb://root:cAnary-wrong@{secondary.address}/shop?authSource=admin")
    assert "18 AuthenticationFailed" in text and "also the right one" not in text
