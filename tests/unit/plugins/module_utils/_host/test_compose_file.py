# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._host.compose_file import (
    service_env_files,
    service_environment,
)

TEXT = """
# a shop
services:
  mongo:
    environment:
      MONGO_URI: not-this-one
  api:
    build: ./backend
    env_file:
      - .env
      - path: ./more.env
    environment:
      NODE_ENV: production   # as always
      MONGO_URI: ${MONGO_URI:-mongodb://${MONGO_ROOT_USER:-admin}:x@mongo:27017/miniecom?authSource=admin}
      EMPTY:
      'QUOTED': "a: b"
    ports: ["3001:3001"]
  worker:
    environment:
    - MONGO_URI=mongodb://mongo/list
    - TAKEN_FROM_OUTSIDE
    env_file: ".env"
"""


def test_a_mapping_and_a_list() -> None:
    assert service_environment(TEXT, "api") == {
        "NODE_ENV": "production",
        "MONGO_URI": "${MONGO_URI:-mongodb://${MONGO_ROOT_USER:-admin}:x@mongo:27017/miniecom?authSource=admin}",
        "QUOTED": "a: b",
    }
    assert service_environment(TEXT, "worker") == {"MONGO_URI": "mongodb://mongo/list"}
    assert service_environment(TEXT, "nothing") == {}
    assert service_env_files(TEXT, "api") == [".env", "./more.env"]
    assert service_env_files(TEXT, "worker") == [".env"]


@given(st.text(alphabet="services:api \n-environment=x'\"#\t", max_size=200))
def test_whatever_stands_there_nothing_is_raised(text: str) -> None:
    assert isinstance(service_environment(text, "api"), dict)
    assert isinstance(service_env_files(text, "api"), list)
