# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from ansible import context
from ansible.module_utils.common.collections import ImmutableDict
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.installing import AS_ROOT
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.update_recovery import way_back_of_data
from ansible_collections.miniecom.maintenance.plugins.plugin_utils.command_line import (
    command_on,
    from_here,
    next_command,
    same_command,
    without_secrets,
)


def typed(monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> None:
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict({"args": ("miniecom.maintenance.weekly",), **arguments}))


def test_a_command_holds_what_makes_it_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    typed(
        monkeypatch,
        inventory=(str(tmp_path / "hosts.yml"), "/etc/more"),
        extra_vars=("miniecom_root=/srv/my shop", "@vars.yml"),
        remote_user="deploy",
        become_ask_pass=True,
        connection="ssh",
        become_method="sudo",
        vault_password_files=("/v",),
        subset="shop1,shop2",
        tags=("backup",),
        check=True,
    )
    carried = (
        "-i hosts.yml -i /etc/more -e 'miniecom_root=/srv/my shop' -e @vars.yml -u deploy --vault-password-file /v -K"
    )
    carried = carried.replace("'miniecom_root=/srv/my shop'", shlex.quote("miniecom_root=/srv/my shop"))
    assert next_command("prerequisites", "shop1") == (
        f"ansible-playbook miniecom.maintenance.prerequisites {carried} --limit shop1"
    )
    assert same_command() == (
        f"ansible-playbook miniecom.maintenance.weekly {carried} --limit shop1,shop2 --tags backup --check"
    )
    assert command_on("shop1", "df -h") == f"ansible shop1 -b {carried} -m ansible.builtin.raw -a 'df -h'"


def test_a_command_of_the_host_is_told_as_one_that_is_typed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, inventory=("shop,",))
    assert from_here("it is missing. " + AS_ROOT + "apk add it", "shop") == (
        "it is missing. Run: ansible shop -b -i shop, -m ansible.builtin.raw -a 'apk add it'"
    )
    assert from_here("it is missing.", "shop") == "it is missing."


def test_what_is_a_command_of_here_already_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, inventory=("shop,",))
    assert from_here(command := next_command("restore", "shop"), "shop") == command


@pytest.mark.parametrize("backup", ["/b/20261201_030000.tar.gz", "/my backups/20261201_030000.tar.gz", None])
def test_a_playbook_that_a_module_names_is_told_as_it_runs_here(
    backup: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, inventory=("hosts.yml",), extra_vars=("miniecom_root=/srv/shop",), become_ask_pass=True)
    source = shlex.quote("backup_restore_src=%s" % (backup or "PATH_OF_THE_BACKUP_OF_BEFORE"))
    assert from_here(f"To go back, restore the data: {way_back_of_data(backup)}.", "shop1") == (
        "To go back, restore the data: ansible-playbook miniecom.maintenance.restore -i hosts.yml -e miniecom_root=/srv/shop -K"
        f" --limit shop1 -e confirm_target=shop1 -e {source}."
    )


def test_what_is_set_anew_or_asked_for_is_not_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, inventory=("shop,",), extra_vars=("a=1", "b=2"), become_ask_pass=True)
    assert same_command(["-e", "a=3", "-K"]) == (
        "ansible-playbook miniecom.maintenance.weekly -i shop, -e b=2 -e a=3 -K"
    )


def test_another_playbook_lies_where_this_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).resolve().parents[4]
    monkeypatch.chdir(root)
    typed(monkeypatch, args=("playbooks/weekly.yml",))
    assert next_command("assess") == "ansible-playbook playbooks/assess.yml"


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a=1 ansible_become_password=Canary b=2", "a=1 ansible_become_password=... b=2"),
        ("{ansible_password: Canary}", "..."),
        ('{"a": "Canary", "token": 1}', "..."),
        ("@secrets.yml", "@secrets.yml"),
        ("api_key='Canary", "..."),
        ("miniecom_root=/srv", "miniecom_root=/srv"),
        ("prerequisites_index_url=https://me:Canary@mirror/simple a=1", "prerequisites_index_url=... a=1"),
        ("uri=mongodb://u:p/Canary@host/shop", "uri=..."),
        ('{"alerts_webhooks": [{"url": "https://hooks.example/Canary"}]}', "..."),
        ("prerequisites_index_url=https://mirror/simple", "prerequisites_index_url=https://mirror/simple"),
    ],
)
def test_secrets_are_not_told_again(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@given(
    st.text(max_size=20).map(lambda text: "Canary" + text), st.sampled_from(["{0}={1}", "a=b {0}={1}", "{{{0}: {1}}}"])
)
def test_no_secret_gets_through(secret: str, form: str) -> None:
    assert "Canary" not in without_secrets(form.format("ansible_become_pass", secret))
