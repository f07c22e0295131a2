# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shop's own maintenance switch: a key inside JSON text inside a document.

Collection ``settings``, the document with ``key: 'site'``: ``value`` is JSON *text* whose ``maintenance`` object the
API looks at on each request. That text holds other settings as well, so it is never parsed and written anew (which would
change the spelling of numbers, escapes and white space): the few values are replaced where they stand. Each write
compares the text it was planned on, so that what an administrator saves at the same moment is never lost.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

try:
    import bson
    from bson.codec_options import CodecOptions, DatetimeConversion

    _CODEC: Any = CodecOptions(
        tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
    )
except ImportError:  # pragma: no cover - the client raises MissingLibrary first
    pass

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .errors import mongo_errors

COLLECTION = "settings"
KEY = "site"
BLOCK = "maintenance"
# In the order in which they are added; taken away again from the end.
OURS = ("enabled", "message", "whitelistIps")


@dataclass(frozen=True)
class Setting:
    """The application's maintenance setting as it is now.

    Attributes:
        present: the document exists.
        enabled: the application answers with maintenance (its own reading: any truthy value).
        message, allow_ips: as stored, None when not set.
        block: the JSON text of the maintenance value, None when the text has none.
        problem: why the application cannot read the setting and behaves as if it were off; "" when it can.
        text: the whole value, which holds other settings too: never show it.
    """

    present: bool
    enabled: bool = False
    message: Optional[str] = None
    allow_ips: Optional[Tuple[str, ...]] = None
    block: Optional[str] = field(default=None, repr=False)
    problem: str = ""
    text: Optional[str] = field(default=None, repr=False)
    document_id: Any = field(default=None, repr=False)

    def remember(self) -> Dict[str, Any]:
        """Plain data to give to plan_setting() as `previous` later; holds nothing of the other settings."""
        return {"present": self.present, "block": self.block}


@dataclass(frozen=True)
class Change:
    """What is to be written.

    Attributes:
        action: "insert", "update" or "delete" (of the document).
        before, after: the maintenance block as JSON text, for a diff; "" for none.
        text: the new value; "" for delete.
    """

    action: str
    before: str
    after: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class _Member:
    """One ``"key": value`` of a JSON object, as positions in its text."""

    key: str
    start: int
    value_start: int
    value_end: int


def _no_constant(name: str) -> Any:
    raise ValueError("%s is no JSON" % name)  # Python would take NaN and Infinity, the application does not


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\n\r":
        position += 1
    return position


def _value(text: str, position: int) -> Tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _members(text: str, start: int = 0) -> Tuple[List[_Member], int, int]:
    """Members of the object that begins at start, the position behind its opening brace and that behind its end.

    Raises:
        ValueError: it is not an object, or not JSON.
    """
    opening = _skip(text, start)
    if text[opening : opening + 1] != "{":
        raise ValueError("not an object")
    members: List[_Member] = []
    position = _skip(text, opening + 1)
    if text[position : position + 1] == "}":
        return members, opening + 1, position + 1
    while True:
        if text[position : position + 1] != '"':
            raise ValueError("no key at %d" % position)
        begin = position
        key, position = _value(text, position)
        position = _skip(text, position)
        if text[position : position + 1] != ":":
            raise ValueError("no colon at %d" % position)
        value_start = _skip(text, position + 1)
        _ignored, value_end = _value(text, value_start)
        members.append(_Member(key, begin, value_start, value_end))
        position = _skip(text, value_end)
        mark = text[position : position + 1]
        if mark == "}":
            return members, opening + 1, position + 1
        if mark != ",":
            raise ValueError("no comma at %d" % position)
        position = _skip(text, position + 1)


def _last(members: Sequence[_Member], key: str) -> Optional[int]:
    # Of duplicate keys the last one counts, in every JSON parser that we know of.
    found = [index for index, member in enumerate(members) if member.key == key]
    return found[-1] if found else None


def _put(text: str, key: str, value: str, start: int = 0) -> str:
    """The text with key of the object at start set to the JSON text value; nothing else changes."""
    members, inside, _end = _members(text, start)
    index = _last(members, key)
    if index is not None:
        member = members[index]
        return text[: member.value_start] + value + text[member.value_end :]
    entry = json.dumps(key) + ":" + value
    if not members:
        return text[:inside] + entry + text[inside:]
    at = members[-1].value_end
    return text[:at] + "," + entry + text[at:]


def _drop(text: str, key: str) -> str:
    """The text without the key that counts: the inverse of _put() for a key that was not there."""
    members, _inside, _end = _members(text)
    index = _last(members, key)
    if index is None:
        return text
    member = members[index]
    if index > 0:
        return text[: members[index - 1].value_end] + text[member.value_end :]
    if len(members) > 1:
        return text[: member.start] + text[members[1].start :]
    return text[: member.start] + text[member.value_end :]


def with_block(text: str, block: Optional[str]) -> str:
    """The text of a setting with the maintenance block of another one (None: without any); nothing else changes. Pure.

    Raises:
        ValueError: the text is not one JSON object.
    """
    if block is not None:
        _check_text(text)
        return _put(text, BLOCK, block)
    while _check_text(text) is not None:  # behind a duplicate key that was dropped another one comes to light
        text = _drop(text, BLOCK)
    return text


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _check_text(text: str) -> Optional[_Member]:
    """The maintenance member of a whole setting text, None without one.

    Raises:
        ValueError: the application could not parse it either.
    """
    members, _inside, end = _members(text)
    if _skip(text, end) != len(text):
        raise ValueError("something follows the object")
    index = _last(members, BLOCK)
    return None if index is None else members[index]


def interpret(document: Optional[Mapping[str, Any]]) -> Setting:
    """What the application makes of a settings document."""
    if document is None:
        return Setting(False, problem="the settings hold no document with key 'site'")
    text, identity = document.get("value"), document.get("_id")
    if not isinstance(text, str) or document.get("type") != "json":
        problem = "its value is not text of type 'json' (type %r, value of type %s)" % (
            document.get("type"),
            type(text).__name__,
        )
        return Setting(True, problem=problem, document_id=identity)
    try:
        member = _check_text(text)
    except ValueError as error:
        # A JSON error's message gives positions only, never what stands there.
        return Setting(True, problem="its value is no valid JSON object (%s)" % error, text=text, document_id=identity)
    if member is None:
        return Setting(True, text=text, document_id=identity)
    block = text[member.value_start : member.value_end]
    value = json.loads(block)
    if not isinstance(value, dict):
        return Setting(True, block=block, text=text, document_id=identity)
    addresses = value.get("whitelistIps")
    return Setting(
        True,
        # JavaScript's truth: empty lists and objects are true there, and so is the text "false".
        enabled=isinstance(value.get("enabled"), (list, dict)) or bool(value.get("enabled")),
        message=value["message"] if isinstance(value.get("message"), str) else None,
        allow_ips=tuple(str(item) for item in addresses) if isinstance(addresses, list) else None,
        block=block,
        text=text,
        document_id=identity,
    )


def read_setting(database: Any) -> Setting:
    """Read the setting.

    Raises:
        MaintenanceError: the server refuses, or there are two such documents.
    """
    target = "%s.%s" % (database.name, COLLECTION)
    with mongo_errors("cannot read the application's maintenance setting", target):
        documents = list(database[COLLECTION].find({"key": KEY}, {"value": 1, "type": 1}).limit(2))
    if len(documents) > 1:
        raise MaintenanceError(
            "there are several documents with key 'site', and the application reads any one of them",
            target=target,
            next_step="Remove all but the right one in the database.",
        )
    return interpret(documents[0] if documents else None)


def visitor_addresses(addresses: Sequence[str]) -> List[str]:
    """The addresses of visitors that pass, in every spelling that the application may see. Pure.

    It compares texts, and listens on ``::``, where Linux shows an IPv4 visitor as ``::ffff:192.0.2.1`` (ipv6(7)); behind a
    proxy it sees the plain address that the proxy tells.

    Raises:
        MaintenanceError: one is no address: it would let nobody pass.
    """
    found: List[str] = []
    for text in addresses:
        try:
            address = ipaddress.ip_address(str(text).strip())
        except ValueError:
            raise MaintenanceError(
                "not the address of a visitor",
                target=repr(text),
                next_step="Write single addresses, such as 192.0.2.10 or 2001:db8::10; the application knows no networks.",
            ) from None
        plain = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else address
        spellings = [str(address)] if plain is None else [str(plain), "::ffff:%s" % plain]
        found.extend(spelling for spelling in spellings if spelling not in found)
    return found


def plan_setting(
    setting: Setting,
    enabled: bool,
    message: Optional[str] = None,
    allow_ips: Optional[Sequence[str]] = None,
    previous: Optional[Mapping[str, Any]] = None,
) -> Optional[Change]:
    """What to write so that the application is, or is not, in maintenance; None when nothing needs to change. Pure.

    Args:
        setting: as it is now.
        enabled: as it shall be.
        message: shown to visitors; None leaves what is there.
        allow_ips: replaces the list of addresses that pass; None leaves what is there.
        previous: what remember() gave before maintenance was switched on. With `enabled` false the three keys become what
            they were then, off in any case, and a document that did not exist goes again.

    Raises:
        MaintenanceError: the document is one that the application cannot read: switching it on would have no effect.
    """
    if setting.problem and setting.present:
        if not enabled:
            return None  # the application takes it as off
        raise MaintenanceError(
            "the application cannot read its own setting, so that it cannot be put into maintenance: %s"
            % setting.problem,
            target="settings, key 'site'",
            next_step="Save the site settings once in the shop's administration, or repair the document; the other layers work without it.",
        )
    if not enabled and not setting.enabled and not previous:
        return None
    if not setting.present:
        if not enabled:
            return None
        block = _edited(None, True, message, allow_ips)
        return Change("insert", "", block, _put("{}", BLOCK, block))
    text = setting.text or ""
    if not enabled and previous is not None:
        return _restored(setting, previous)
    if enabled == setting.enabled and _same(setting, enabled, message, allow_ips):
        return None
    block = _edited(setting.block, enabled, message, allow_ips)
    return Change("update", setting.block or "", block, _put(text, BLOCK, block))


def _same(setting: Setting, enabled: bool, message: Optional[str], allow_ips: Optional[Sequence[str]]) -> bool:
    if not enabled:
        return True
    return (message is None or message == setting.message) and (
        allow_ips is None or tuple(allow_ips) == (setting.allow_ips or ())
    )


def _edited(block: Optional[str], enabled: bool, message: Optional[str], allow_ips: Optional[Sequence[str]]) -> str:
    if block is None or not isinstance(json.loads(block), dict):
        block = "{}"
    block = _put(block, "enabled", _dump(enabled))
    if message is not None:
        block = _put(block, "message", _dump(message))
    if allow_ips is not None:
        block = _put(block, "whitelistIps", _dump(list(allow_ips)))
    return block


def _raw(block: Optional[str], key: str) -> Optional[str]:
    """The JSON text of a key's value in an object's text; None without either."""
    if block is None or not isinstance(json.loads(block), dict):
        return None
    members = _members(block)[0]
    index = _last(members, key)
    return None if index is None else block[members[index].value_start : members[index].value_end]


def _restored(setting: Setting, previous: Mapping[str, Any]) -> Optional[Change]:
    """Our three keys as they were before; what else was changed meanwhile stays."""
    text, old = setting.text or "", previous.get("block")
    if setting.block is None or not isinstance(json.loads(setting.block), dict):
        return None  # somebody took the block away: it is off
    block = setting.block
    for key in reversed(OURS):
        raw = _raw(old, key)
        block = _drop(block, key) if raw is None else _put(block, key, raw)
    if _members(block)[0] or (old is not None and isinstance(json.loads(old), dict)):
        text = _put(text, BLOCK, block)
    else:
        text = _drop(text, BLOCK) if old is None else _put(text, BLOCK, old)
    if interpret({"value": text, "type": "json"}).enabled:
        # It was on before us already, or a duplicate key came to light behind the one removed.
        text = _put(text, BLOCK, _edited(block, False, None, None))
    if not previous.get("present", True) and not _members(text)[0]:
        return Change("delete", setting.block, "", "")
    if text == setting.text:
        return None
    return Change("update", setting.block, interpret({"value": text, "type": "json"}).block or "", text)


def write_setting(database: Any, setting: Setting, change: Change) -> None:
    """Write a planned change, if the setting is still as it was when planned.

    Raises:
        MaintenanceError: somebody changed it meanwhile (code "changed meanwhile"), or the server refuses.
    """
    target = "%s.%s" % (database.name, COLLECTION)
    collection = database[COLLECTION]
    unchanged = {"_id": setting.document_id, "key": KEY, "type": "json", "value": setting.text}
    try:
        with mongo_errors("cannot write the application's maintenance setting", target):
            if change.action == "insert":
                fields = {"type": "json", "value": change.text}
                answer = collection.update_one({"key": KEY}, {"$setOnInsert": fields}, upsert=True)
                done = answer.upserted_id is not None
            elif change.action == "delete":
                done = collection.delete_one(unchanged).deleted_count == 1
            else:
                # The value's previous text is part of the condition: compare and set, in one atomic step of the server.
                done = collection.update_one(unchanged, {"$set": {"value": change.text}}).matched_count == 1
    except MaintenanceError as error:
        if str(error.code).startswith("13"):
            error.next_step = (
                "The user may read but not write here: grant it the role readWrite on the database %s, or connect as the "
                "application's own user." % database.name
            )
        raise
    if not done:
        raise MaintenanceError(
            "the application's settings were changed by somebody else at the same moment, and have been left as they are",
            target=target,
            code="changed meanwhile",
            next_step="Run it again.",
        )


def update_setting(
    database: Any,
    enabled: bool,
    message: Optional[str] = None,
    allow_ips: Optional[Sequence[str]] = None,
    previous: Optional[Mapping[str, Any]] = None,
    attempts: int = 3,
) -> Tuple[Setting, Optional[Change]]:
    """Read, plan and write, anew when somebody else was faster; then read back.

    Returns:
        The setting as it was before, and what was written (None when nothing had to be).

    Raises:
        MaintenanceError: as read_setting(), plan_setting() and write_setting() raise it, or the application would still see
            the other state.
    """
    for attempt in range(attempts):
        setting = read_setting(database)
        change = plan_setting(setting, enabled, message, allow_ips, previous)
        if change is None:
            return setting, None
        try:
            write_setting(database, setting, change)
        except MaintenanceError as error:
            if error.code != "changed meanwhile" or attempt == attempts - 1:
                raise
            continue
        if read_setting(database).enabled != enabled:
            raise MaintenanceError(
                "the application's maintenance setting was switched %s again right after it was written"
                % ("off" if enabled else "on"),
                target="%s.%s" % (database.name, COLLECTION),
                next_step="Somebody else is changing it: settle who does, then run it again.",
            )
        return setting, change
    raise AssertionError("unreachable")


def carry_over(database: Any, collection: str) -> str:
    """Give the settings in another collection the maintenance block that the live ones have now.

    What was switched on, and by whom, is of the present; all the rest is the other collection's.

    Returns:
        Why it could not be done, for people; "" when it was.

    Raises:
        MaintenanceError: the server refuses, or the live setting is ambiguous.
    """
    live = read_setting(database)
    target = "%s.%s" % (database.name, collection)
    with mongo_errors("cannot carry the maintenance setting over", target):
        documents = list(database[collection].find({"key": KEY}, {"value": 1, "type": 1}).limit(2))
        setting = interpret(documents[0] if documents else None)
        if len(documents) > 1 or (setting.present and setting.problem):
            what = "there are several documents with key 'site'" if len(documents) > 1 else setting.problem
            return "the application cannot be kept in maintenance by the restored settings: %s" % what
        if not setting.present:
            if live.block is not None:
                text = with_block("{}", live.block)
                database[collection].insert_one({"key": KEY, "type": "json", "value": text})
            return ""
        text = with_block(setting.text or "", live.block)
        if text != setting.text:
            database[collection].update_one({"_id": setting.document_id}, {"$set": {"value": text}})
    return ""


def same_but_for_block(one: bytes, other: bytes) -> bool:
    """Whether two collections of settings differ in nothing but the maintenance block of the site's. Pure.

    Args:
        one, other: raw documents, one after the other.
    """

    def plain(document: Mapping[str, Any]) -> Dict[str, Any]:
        values = dict(document)
        if values.get("key") == KEY and isinstance(values.get("value"), str):
            try:
                values["value"] = with_block(values["value"], None)
            except ValueError:
                pass
        return values

    def shown(raw: bytes) -> List[Any]:
        # Of a document that only maintenance has made nothing is left.
        values = [plain(document) for document in bson.decode_all(raw, _CODEC)]
        left = [value for value in values if not (value.get("key") == KEY and value.get("value") == "{}")]
        return sorted(left, key=repr)  # a backup has them in the order of _id, which need not be that of the disk

    try:
        return shown(one) == shown(other)
    except bson.errors.BSONError:
        return False
