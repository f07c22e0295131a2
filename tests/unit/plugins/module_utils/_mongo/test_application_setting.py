# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.application_setting import (
    interpret,
    plan_setting,
    read_setting,
    update_setting,
    visitor_addresses,
    write_setting,
)

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
BLOCKS = st.fixed_dictionaries(
    {}, optional={"enabled": SCALARS, "message": SCALARS, "whitelistIps": VALUES, "theme": VALUES}
)


def document(text, type_="json"):
    return {"_id": 1, "key": "site", "type": type_, "value": text}


@st.composite
def texts(draw):
    others = draw(st.dictionaries(st.text(max_size=6).filter(lambda key: key != "maintenance"), VALUES, max_size=4))
    entries = list(others.items())
    if draw(st.booleans()):
        block = draw(BLOCKS | SCALARS)
        entries.insert(draw(st.integers(0, len(entries))), ("maintenance", block))
    return json.dumps(
        dict(entries), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 0, 2])), allow_nan=False
    )


def without_block(text):
    return [(key, value) for key, value in json.loads(text).items() if key != "maintenance"]


@given(texts(), st.none() | st.text(max_size=10), st.none() | st.lists(st.text(max_size=5), max_size=3))
def test_switching_on_changes_the_block_alone(text, message, addresses):
    before = interpret(document(text))
    change = plan_setting(before, True, message, addresses)
    after = interpret(document(change.text if change else text))
    assert after.enabled and not after.problem
    if message is not None:
        assert after.message == message
    if addresses is not None:
        assert list(after.allow_ips or ()) == addresses
    new = change.text if change else text
    assert without_block(new) == without_block(text)
    old_block, new_block = (json.loads(source).get("maintenance") for source in (text, new))
    if isinstance(old_block, dict):
        ours = {"enabled", "message", "whitelistIps"}
        assert {k: v for k, v in new_block.items() if k not in ours} == {
            k: v for k, v in old_block.items() if k not in ours
        }
    # Doing it again is nothing to do.
    assert plan_setting(after, True, message, addresses) is None


@given(texts(), st.text(max_size=10), st.lists(st.text(max_size=5), max_size=3))
def test_on_and_back_leaves_every_byte(text, message, addresses):
    before = interpret(document(text))
    if before.enabled:
        return
    on = plan_setting(before, True, message, addresses)
    off = plan_setting(interpret(document(on.text)), False, previous=before.remember())
    assert off.text == text


@given(texts())
def test_switching_off_without_memory(text):
    before = interpret(document(text))
    change = plan_setting(before, False)
    if not before.enabled:
        assert change is None
    else:
        assert interpret(document(change.text)).enabled is False
        assert without_block(change.text) == without_block(text)


@given(texts(), VALUES)
def test_restoring_keeps_what_an_administrator_saved_meanwhile(text, value):
    before = interpret(document(text))
    on = plan_setting(before, True, "back soon")
    meanwhile = json.dumps(dict(json.loads(on.text if on else text), shipping=value), separators=(",", ":"))
    off = plan_setting(interpret(document(meanwhile)), False, previous=before.remember())
    result = json.loads(off.text)
    assert json.dumps(result["shipping"]) == json.dumps(value)
    assert not interpret(document(off.text)).enabled


@pytest.mark.parametrize(
    ("enabled", "seen"),
    [
        ("true", True),
        ("false", False),
        ('"false"', True),
        ("0", False),
        ('""', False),
        ("null", False),
        ("[]", True),
        ("{}", True),
        ("1", True),
    ],
)
def test_truth_is_the_applications(enabled, seen):
    assert interpret(document('{"maintenance":{"enabled":%s}}' % enabled)).enabled is seen


@pytest.mark.parametrize(
    "broken",
    [
        document("{not json"),
        document('{"maintenance":{"enabled":true}} trailing'),
        document('{"a":NaN,"maintenance":{"enabled":true}}'),
        document('["maintenance"]'),
        document("\ufeff{}"),
        document(""),
        document('{"maintenance":{"enabled":true}}', "string"),
        document({"maintenance": {"enabled": True}}),
        document(None),
    ],
)
def test_what_the_application_cannot_read_is_off_and_never_overwritten(broken):
    setting = interpret(broken)
    assert setting.present and setting.problem and not setting.enabled
    assert plan_setting(setting, False) is None
    with pytest.raises(MaintenanceError, match="cannot read its own setting"):
        plan_setting(setting, True, "x")


def test_missing_document_is_made_and_removed_again():
    missing = interpret(None)
    assert not missing.enabled and plan_setting(missing, False) is None
    change = plan_setting(missing, True, "Grüße", ["10.0.0.1"])
    assert change.action == "insert"
    assert json.loads(change.text) == {
        "maintenance": {"enabled": True, "message": "Grüße", "whitelistIps": ["10.0.0.1"]}
    }
    now = interpret(document(change.text))
    assert plan_setting(now, False, previous=missing.remember()).action == "delete"
    # An administrator saved other settings into it meanwhile: it stays, without the block.
    grown = interpret(document(change.text[:-1] + ',"name":"Shop"}'))
    restored = plan_setting(grown, False, previous=missing.remember())
    assert (restored.action, restored.text) == ("update", '{"name":"Shop"}')


def test_spelling_survives():
    text = '{ "price" : 1.10, "big":12345678901234567890, "u":"\\u00fc\\/", "maintenance" : { "enabled":false,"x":1e3 } ,"z":0.0 }'
    change = plan_setting(interpret(document(text)), True, "m")
    assert change.text == text.replace('"enabled":false,"x":1e3', '"enabled":true,"x":1e3,"message":"m"')


def test_duplicate_keys_the_last_one_counts():
    text = '{"maintenance":{"enabled":true},"maintenance":{"enabled":false}}'
    setting = interpret(document(text))
    assert not setting.enabled
    assert plan_setting(setting, True).text == '{"maintenance":{"enabled":true},"maintenance":{"enabled":true}}'


def test_the_other_settings_never_show():
    setting = interpret(document('{"smtp":"canary","maintenance":{"enabled":false}}'))
    change = plan_setting(setting, True)
    assert "canary" not in repr(setting) + repr(change) + repr(setting.remember()) + change.before + change.after


def test_what_an_administrator_changed_in_the_block_stays():
    before = interpret(document('{"maintenance":{"enabled":false,"message":"old","theme":"x"}}'))
    on = plan_setting(before, True, "ours", ["10.0.0.1"])
    meanwhile = interpret(document(on.text.replace('"theme":"x"', '"theme":"y"')))
    off = plan_setting(meanwhile, False, previous=before.remember())
    assert off.text == '{"maintenance":{"enabled":false,"message":"old","theme":"y"}}'


def test_it_was_on_before_us():
    before = interpret(document('{"maintenance":{"enabled":true,"message":"old"}}'))
    on = plan_setting(before, True, "ours")
    off = plan_setting(interpret(document(on.text)), False, previous=before.remember())
    assert off.text == '{"maintenance":{"enabled":false,"message":"old"}}'


def test_block_was_taken_away_meanwhile():
    before = interpret(document("{}"))
    assert plan_setting(interpret(document('{"a":1}')), False, previous=before.remember()) is None


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (["192.0.2.10"], ["192.0.2.10", "::ffff:192.0.2.10"]),
        (["::ffff:192.0.2.10", "192.0.2.10"], ["192.0.2.10", "::ffff:192.0.2.10"]),
        (["2001:DB8::0010"], ["2001:db8::10"]),
        ([" 127.0.0.1 ", "::1"], ["127.0.0.1", "::ffff:127.0.0.1", "::1"]),
        ([], []),
    ],
)
def test_a_visitor_is_let_in_however_the_application_sees_the_address(given: list[str], written: list[str]) -> None:
    assert visitor_addresses(given) == written


@pytest.mark.parametrize("given", ["192.0.2.0/24", "office.example.org", "192.0.2", ""])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(MaintenanceError, match="not the address of a visitor"):
        visitor_addresses([given])


class Settings:
    """The collection of settings, as much as is asked for; `meanwhile` is done right before each write."""

    def __init__(self, *documents, meanwhile=lambda found: None):
        self.documents = [dict(document) for document in documents]
        self.meanwhile = meanwhile
        self.name = "shop"

    def __getitem__(self, _name):
        return self

    def find(self, _query, _projection):
        found = [dict(document) for document in self.documents]
        return SimpleNamespace(limit=lambda number: found[:number])

    def update_one(self, query, update, upsert=False):
        self.meanwhile(self.documents)
        matching = [found for found in self.documents if all(found.get(key) == value for key, value in query.items())]
        for found in matching[:1]:
            found.update(update.get("$set", {}))
        if not matching and upsert:
            self.documents.append({**query, **update["$setOnInsert"]})
        return SimpleNamespace(matched_count=len(matching), upserted_id=None if matching else 1)


def test_what_somebody_saves_at_the_same_moment_is_not_lost():
    saves = iter(['{"price":1}', '{"price":2}', '{"price":3}'])

    def save(found):
        found[0]["value"] = next(saves, found[0]["value"])

    settings = Settings(document('{"price":0}'), meanwhile=save)
    setting = read_setting(settings)
    with pytest.raises(MaintenanceError, match="changed by somebody else at the same moment"):
        write_setting(settings, setting, plan_setting(setting, True))
    assert settings.documents[0]["value"] == '{"price":1}'
    _before, change = update_setting(settings, True)
    assert change.text == '{"price":3,"maintenance":{"enabled":true}}' == settings.documents[0]["value"]


def test_who_never_stops_saving_wins():
    prices = iter(range(9))

    def save(found):
        found[0]["value"] = '{"price":%d}' % next(prices)

    settings = Settings(document("{}"), meanwhile=save)
    with pytest.raises(MaintenanceError, match="changed meanwhile"):
        update_setting(settings, True)
    assert settings.documents[0]["value"] == '{"price":2}'


def test_a_setting_that_is_switched_again_at_once_is_an_error():
    settings = Settings(document("{}"))
    settings.update_one = lambda *_arguments, **_more: SimpleNamespace(matched_count=1)
    with pytest.raises(MaintenanceError, match="switched off again right after it was written"):
        update_setting(settings, True)


def test_of_several_documents_nobody_knows_which_counts():
    with pytest.raises(MaintenanceError, match="several documents with key 'site'"):
        read_setting(Settings(document("{}"), document("{}")))
    assert read_setting(Settings(document("{}"))).present and not read_setting(Settings()).present
