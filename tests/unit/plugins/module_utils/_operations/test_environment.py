# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a connection string names by a path inside a container are found where the host has them."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.address import resolve
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import environment
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.environment import (
    files_through_mounts,
    with_environment,
)

MOUNTS = [
    {"Type": "bind", "Source": "/opt/shop/certs", "Destination": "/certs"},
    {"Type": "volume", "Name": "keys", "Source": "/var/lib/docker/volumes/keys/_data", "Destination": "/certs/client"},
    {"Type": "bind", "Source": "/opt/shop/secret-ca", "Destination": "/run/secrets/ca"},
    {"Type": "tmpfs", "Source": "", "Destination": "/certs/memory"},
]


def inspected(uri: str = "", **mounts: Any) -> dict[str, Any]:
    config = {"Env": [f"MONGO_URI={uri}", "PATH=/bin"], "WorkingDir": "/app"}
    return {"Config": config, "Mounts": MOUNTS, "HostConfig": {}, **mounts}


def uri(*files: str, tls: str = "tls=true") -> str:
    names = ("tlsCAFile", "tlsCertificateKeyFile")
    return "mongodb://u:p@mongo/shop?" + "&".join([tls, *(f"{n}={f}" for n, f in zip(names, files, strict=False))])


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("/certs/ca.pem", "/opt/shop/certs/ca.pem"),
        ("/certs/sub/../ca.pem", "/opt/shop/certs/ca.pem"),
        # The longest destination holds it, in whichever order the mounts are told.
        ("/certs/client/key.pem", "/var/lib/docker/volumes/keys/_data/key.pem"),
        ("/run/secrets/ca", "/opt/shop/secret-ca"),
        ("../certs/ca.pem", "/opt/shop/certs/ca.pem"),  # from the container's working directory
        ("%2Fcerts%2Fca.pem", "/opt/shop/certs/ca.pem"),
        ("/certs-of-another/ca.pem", None),
        ("/certs/memory/ca.pem", None),
        ("/etc/ssl/ca.pem", None),
        ("certs/ca.pem", None),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_a_path_is_followed_through_the_mounts(named: str, found: str | None, order: int) -> None:
    places = files_through_mounts(inspected(Mounts=MOUNTS[::order]), [uri(named)])
    assert places == ({} if found is None else {named.replace("%2F", "/"): found})


def test_every_file_of_every_string_is_looked_for() -> None:
    places = files_through_mounts(inspected(), [uri("/certs/a", "/certs/client/b"), uri("/certs/c")])
    assert set(places) == {"/certs/a", "/certs/client/b", "/certs/c"}
    for malformed in ("", "nonsense", "mongodb://a@b@c/?tlsCAFile=/certs/a", uri("/certs/a", tls="tsl=true")):
        assert files_through_mounts(inspected(), [malformed]) == {}
    assert files_through_mounts(inspected(), ["mongodb+srv://shop.example/?tlsCAFile=/certs/a"])
    # Without TLS nobody reads them.
    assert files_through_mounts(inspected(), [uri("/certs/a", tls="tls=false")]) == {}


def completed(monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], **params: Any) -> dict[str, Any]:
    """Options completed from a container as an engine would describe it."""
    docker = SimpleNamespace(api=SimpleNamespace(inspect_container=lambda name: found))
    monkeypatch.setattr(environment.Docker, "connect", lambda host, timeout: nullcontext(docker))
    return with_environment({"env_from": "container:api", "env_file": "/nonexistent", **params})


def test_options_are_completed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    params = completed(monkeypatch, inspected(uri("/certs/ca.pem", "/certs/key.pem")))
    assert params["tls_files"] == {
        "/certs/ca.pem": "/opt/shop/certs/ca.pem",
        "/certs/key.pem": "/opt/shop/certs/key.pem",
    }
    assert params["environment_place"] == "container api"
    # What somebody says counts more.
    told = completed(monkeypatch, inspected(uri("/certs/ca.pem")), tls_files={"/certs/ca.pem": "/mine", "/x": "/y"})
    assert told["tls_files"] == {"/certs/ca.pem": "/mine", "/x": "/y"}
    # A string that the application reads from the file is read inside the container as well.
    (tmp_path / ".env").write_text(f"MONGO_URI={uri('/certs/ca.pem')}\n")
    params = completed(monkeypatch, inspected(), env_file=str(tmp_path / ".env"))
    assert params["env_from"] == "file" and params["tls_files"] == {"/certs/ca.pem": "/opt/shop/certs/ca.pem"}


@pytest.mark.parametrize(
    ("named", "target", "words"),
    [
        ("/layer/ca.pem", "/layer/ca.pem", "No mount of the container api holds it on this host"),
        ("/certs/ca.pem", "/opt/shop/certs/ca.pem", "where the mounts of the container api, or tls_files, have it"),
    ],
)
def test_what_is_not_found_is_named_with_the_option(
    monkeypatch: pytest.MonkeyPatch, named: str, target: str, words: str
) -> None:
    with pytest.raises(MaintenanceError) as caught:
        resolve(completed(monkeypatch, inspected(uri(named))))
    text = str(caught.value)
    assert target in text and words in text and f"tls_files where it lies on the host ({named}: PATH)" in text
