# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the application was given decides, not the file `.env` alone."""

from __future__ import annotations

from ansible_collections.miniecom.maintenance.plugins.module_utils._host.environment import (
    COMPOSE,
    CONTAINER,
    FILE,
    PROCESS,
    EnvironmentSource,
    choose_source,
    compare_databases,
)

FILE_URI = "mongodb://shop:file-secret@localhost:27017/handmade_harmony"


def file(**values: str) -> EnvironmentSource:
    return EnvironmentSource(FILE, "/opt/miniecom/.env", "file", values)


def container(**values: str) -> EnvironmentSource:
    return EnvironmentSource(CONTAINER, "container miniecom_api", "container:miniecom_api", values)


def test_a_container_is_given_what_compose_passes_and_nothing_else() -> None:
    """The shop's own compose file passes MONGO_URI alone, while its .env names MONGODB_URI."""
    environment = choose_source([container(MONGO_URI="mongodb://mongo:27017/miniecom"), file(MONGODB_URI=FILE_URI)])
    assert environment.used.env_from == "container:miniecom_api"
    databases = compare_databases(environment)
    assert databases.used is not None and databases.used.database == "miniecom"
    assert [other.database for other in databases.others] == ["handmade_harmony"]
    for word in ("miniecom", "handmade_harmony", "container miniecom_api", "/opt/miniecom/.env"):
        assert word in databases.conflict
    assert "secret" not in databases.conflict and "secret" not in repr(environment)


def test_a_process_reads_the_file_and_overwrites_nothing() -> None:
    process = EnvironmentSource(
        PROCESS, "process 7", "process:7:1", {"MONGO_URI": "mongodb://localhost/old", "PORT": "4000"}
    )
    environment = choose_source([process, file(MONGODB_URI=FILE_URI, PORT="3001")])
    assert environment.get("PORT") == "4000"
    databases = compare_databases(environment)
    assert databases.used is not None and databases.used.database == "handmade_harmony", "dotenv adds what was not set"
    given = EnvironmentSource(PROCESS, "process 7", "process:7:1", {"MONGODB_URI": "mongodb://localhost/new"})
    databases = compare_databases(choose_source([given, file(MONGODB_URI=FILE_URI)]))
    assert databases.used is not None and databases.used.database == "new"
    assert "handmade_harmony" in databases.conflict


def test_a_container_without_a_connection_string_reads_the_file_itself() -> None:
    environment = choose_source([container(NODE_ENV="production"), file(MONGODB_URI=FILE_URI, NODE_ENV="development")])
    assert environment.used.env_from == "file" and environment.get("NODE_ENV") == "production"
    assert compare_databases(environment).conflict == ""


def test_names_of_the_same_server_are_no_conflict() -> None:
    inside = container(MONGO_URI="mongodb://a:b@mongo:27017/handmade_harmony")
    assert compare_databases(choose_source([inside, file(MONGODB_URI=FILE_URI)])).conflict == ""
    elsewhere = container(MONGO_URI="mongodb://a:b@db.example.org:27017/handmade_harmony")
    assert "db.example.org:27017" in compare_databases(choose_source([elsewhere, file(MONGODB_URI=FILE_URI)])).conflict


def test_what_compose_would_give_decides_before_there_is_a_container() -> None:
    planned = EnvironmentSource(
        COMPOSE, "/opt/miniecom/docker-compose.yml", "compose:/x", {"MONGO_URI": "mongodb://mongo/miniecom"}
    )
    assert compare_databases(choose_source([planned, file(MONGODB_URI=FILE_URI)])).used.database == "miniecom"  # type: ignore[union-attr]
    assert compare_databases(choose_source([file()])).used is None
