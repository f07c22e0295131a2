# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings: default, short and shared secrets, debugging, repetitions; and never a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.environment_rules import (
    ENVIRONMENT_RULES,
    EnvironmentSetting,
    judge_repetitions,
    judge_settings,
    names_of_secrets,
)

GOOD = "q8Zr2kLw0vXy7TbN4mPc9JdF6hGs1AeU"
PASSWORD = "q8Zr-2kLw.0vXy7"


def rules(**values: str) -> list[tuple[str, str]]:
    return [
        (item.rule, item.severity)
        for item in judge_settings(EnvironmentSetting(*pair, "/srv/.env", 1) for pair in values.items())
    ]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("JWT_SECRET", GOOD, None),
        ("JWT_SECRET", GOOD[:31], ("weak-secret-in-use", "medium")),
        ("JWT_SECRET", "", ("default-secret-in-use", "high")),
        ("JWT_SECRET", "your-super-secret-jwt-key-change-this-in-production", ("default-secret-in-use", "high")),
        ("JWT_SECRET", "abcd" * 12, ("weak-secret-in-use", "medium")),
        ("SESSION_SECRET", "short", ("weak-secret-in-use", "medium")),
        ("JWT_REFRESH_SECRET", "short", ("weak-secret-in-use", "medium")),
        ("ENCRYPTION_KEY", GOOD[:16], ("weak-secret-in-use", "medium")),
        ("MONGO_ROOT_PASSWORD", "changeme", ("default-secret-in-use", "high")),
        ("MONGO_ROOT_PASSWORD", PASSWORD, None),
        ("SMTP_PASS", "k7x", ("weak-secret-in-use", "medium")),
        ("SMTP_PASS", "", None),
        ("BACKUP_PASSPHRASE", "aaaaaaaaaaaaaaaa", ("weak-secret-in-use", "medium")),
        (
            "MONGO_URI",
            "mongodb://admin:changeme@mongo:27017/miniecom?authSource=admin",
            ("default-secret-in-use", "high"),
        ),
        ("MONGO_URI", "mongodb://mongo:27017/miniecom", None),
        ("MONGO_URI", f"mongodb://admin:{PASSWORD}@mongo:27017/miniecom", None),
        ("REDIS_URL", "redis://:secret@cache:6379", ("default-secret-in-use", "high")),
        # What somebody else gave is as long as they made it.
        ("RAZORPAY_KEY_SECRET", GOOD[:24], None),
        ("RAZORPAY_KEY_ID", "rzp_live_1", None),
        # About secrets, and none.
        ("JWT_EXPIRES_IN", "7d", None),
        ("RESET_TOKEN_TTL", "3600", None),
        ("PASSWORD_MIN_LENGTH", "8", None),
        ("BACKUP_PASSPHRASE_FILE", "/etc/pass", None),
        ("ENCRYPT_BACKUP", "true", None),
        ("NODE_ENV", "production", None),
        ("NODE_ENV", "development", ("debugging-in-production", "medium")),
        ("DEBUG", "*", ("debugging-in-production", "low")),
        ("DEBUG", "false", None),
        ("LOG_LEVEL", "info", None),
        ("LOG_LEVEL", "debug", ("debugging-in-production", "low")),
        ("NODE_OPTIONS", "--max-old-space-size=512", None),
        ("NODE_OPTIONS", "--inspect=0.0.0.0:9229", ("node-inspector", "high")),
    ],
)
def test_one_setting(key: str, value: str, expected: tuple[str, str] | None) -> None:
    assert rules(**{key: value}) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("JWT_SECRET", "has to sign in again"),
        ("MONGO_ROOT_PASSWORD", "the same one in the service that checks it"),
        ("ENCRYPTION_KEY", "encrypt with it anew"),
        ("DATA_ENCRYPTION_SECRET", "encrypt with it anew"),
        ("BACKUP_PASSPHRASE", "keep the present one"),
    ],
)
def test_what_to_do_loses_nothing(key: str, remedy: str) -> None:
    """A key that is merely replaced leaves behind what nobody can read."""
    [found] = judge_settings([EnvironmentSetting(key, "changeme", "/srv/.env", 1)])
    assert remedy in found.remediation


def test_the_databases_password_is_one_secret_under_several_names() -> None:
    uri = f"mongodb://admin:{PASSWORD}@mongo/miniecom"
    assert rules(MONGO_ROOT_PASSWORD=PASSWORD, MONGO_INITDB_ROOT_PASSWORD=PASSWORD, MONGODB_URI=uri) == []
    assert len(rules(MONGO_ROOT_PASSWORD="changeme", MONGO_URI="mongodb://a:changeme@mongo/x")) == 1, "and told once"


def test_one_secret_for_two_things() -> None:
    found = judge_settings(
        [EnvironmentSetting("JWT_SECRET", GOOD, "/srv/.env"), EnvironmentSetting("COOKIE_SECRET", GOOD, "/srv/.env")]
    )
    assert [item.rule for item in found] == ["secret-used-twice"]
    assert "COOKIE_SECRET, JWT_SECRET" in found[0].message


def test_what_a_container_was_given_alike_is_told_at_the_file_alone() -> None:
    same = [
        EnvironmentSetting("JWT_SECRET", "short", place) for place in ("/srv/.env", "container api", "container worker")
    ]
    assert [item.target for item in judge_settings(same)] == ["/srv/.env"]
    other = [*same, EnvironmentSetting("JWT_SECRET", "changeme", "container old")]
    assert [(item.target, item.rule) for item in judge_settings(other)][1] == ("container old", "default-secret-in-use")


@given(
    st.dictionaries(
        st.sampled_from(["JWT_SECRET", "SMTP_PASS", "MONGO_URI", "API_KEY", "NODE_ENV", "DEBUG", "NODE_OPTIONS", "X"]),
        st.one_of(
            st.text(alphabet="ζξψqZ7", min_size=4, max_size=40),
            st.text(alphabet="ζξψqZ7", min_size=4, max_size=40).map(lambda secret: f"mongodb://u:{secret}@h/d"),
        ),
    )
)
def test_no_value_is_ever_told(values: dict[str, str]) -> None:
    settings = [EnvironmentSetting(key, value, "/srv/.env", 1) for key, value in values.items()]
    found = judge_settings(settings)
    text = repr(settings) + "".join(str(item.as_dict()) + repr(item) for item in found)
    assert not set("ζξψ") & set(text)
    assert {item.rule for item in found} <= ENVIRONMENT_RULES


def test_repetitions_that_differ_are_told_with_their_lines() -> None:
    found = judge_repetitions("/srv/.env", [("A", "1", 1), ("B", "1", 2), ("A", "2", 3), ("B", "1", 4)])
    assert [(item.rule, item.line) for item in found] == [("setting-twice", 3)]
    assert "lines 1, 3" in found[0].message


def test_names_of_secrets() -> None:
    given = {
        "JWT_SECRET": GOOD,
        "PORT": "3001",
        "MONGO_URI": "mongodb://a:b1c2d3e4@h/d",
        "TOKEN_TTL": "5",
        "GPG_KEYS": "1 2",
    }
    assert names_of_secrets(given) == ("JWT_SECRET", "MONGO_URI")
