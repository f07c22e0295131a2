# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold of a restored database beside that: counts of documents, and JMESPath over counts and samples.

Expressions are worked out where the data is: samples of customers' orders have no place on a controller.
"""

from __future__ import annotations

import json
from dataclasses import field
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

try:
    import bson
    from bson import json_util
    from bson.codec_options import CodecOptions, DatetimeConversion
    from bson.datetime_ms import DatetimeMS
    from bson.raw_bson import RawBSONDocument

    _RAW = CodecOptions(document_class=RawBSONDocument)
    _JSON = json_util.JSONOptions(
        json_mode=json_util.JSONMode.CANONICAL, tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
    )
    _CODEC = CodecOptions(
        tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
    )
except ImportError:  # pragma: no cover - the client raises MissingLibrary first
    pass
try:
    import jmespath
    from jmespath import functions
    from jmespath.exceptions import JMESPathError

    IMPORT_ERROR = ""
    _BASE: Any = functions.Functions
    _signature: Any = functions.signature
except ImportError as _error:  # pragma: no cover - it is said when an expression is to be worked out
    IMPORT_ERROR = str(_error)
    _BASE = object

    def _signature(*types: Any) -> Any:  # type: ignore[no-redef]
        return lambda function: function


from .._core.clock import format_utc, parse_utc
from .._core.errors import MaintenanceError, MissingLibrary
from .._core.late_dataclass import dataclass
from .client import Connection
from .errors import mongo_errors

FAIL, WARN = "fail", "warn"
# Of each sample. A sample is looked at, not searched: what is to be counted the server counts.
MAX_DOCUMENTS = 100
MAX_BYTES = 4 * 1024 * 1024
_WRITING = ("$out", "$merge")


@dataclass(frozen=True)
class Assertion:
    """What must hold of a restored database: a count in a collection, or an expression.

    Attributes:
        name: what is said, in words; "" where nobody has said it.
        expression: JMESPath that must give true; "" for a count.
        condition: a filter of the query language; {} counts everything.
        least, most: how many documents it may match; None sets no limit.
        severity: whether the backup fails when it does not hold, or somebody is warned.
    """

    collection: str = ""
    condition: Mapping[str, Any] = field(default_factory=dict)
    least: Any = 1
    most: Any = None
    name: str = ""
    expression: str = ""
    severity: str = FAIL


@dataclass(frozen=True)
class SampledCollection:
    """Documents to look at.

    Attributes:
        pipeline: an aggregation of them, extended JSON.
    """

    name: str
    collection: str
    pipeline: Tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class BackupFacts:
    """What else expressions may ask for.

    Attributes:
        started: when the backup was begun.
        counts: documents, by the collection's name.
        files: files in the backup, by the part's name.
    """

    started: datetime
    counts: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)


class _Functions(_BASE):  # type: ignore[misc]
    """One function more than JMESPath has, which knows neither dates nor differences."""

    def __init__(self, started: datetime) -> None:
        super().__init__()
        self._started = started

    @_signature({"types": ["string", "null"]})
    def _func_age_hours(self, text: Optional[str]) -> Optional[float]:
        """Hours from a date to the moment in which the backup was begun; null of what is no date."""
        try:
            return round((self._started - parse_utc(text or "")).total_seconds() / 3600, 3)
        except ValueError:
            return None


def prepare(entries: Sequence[Mapping[str, Any]], samples: Sequence[Mapping[str, Any]]) -> Tuple[Any, Any]:
    """Assertions and samples as the options give them: what makes no sense is better known before anything is done.

    Raises:
        MaintenanceError: an expression is none, or a sample would write.
        MissingLibrary: there are expressions, and no jmespath on this host.
    """
    assertions = tuple(
        Assertion(
            entry.get("collection") or "",
            entry.get("filter") or {},
            entry["min"],
            entry["max"],
            entry.get("name") or "",
            entry.get("that") or "",
            entry.get("severity") or FAIL,
        )
        for entry in entries
    )
    expressions = [assertion for assertion in assertions if assertion.expression]
    if expressions and IMPORT_ERROR:
        raise MissingLibrary("jmespath", IMPORT_ERROR)
    for assertion in expressions:
        try:
            jmespath.compile(assertion.expression)
        except JMESPathError as error:
            raise MaintenanceError(
                "this is no JMESPath expression: %s" % " ".join(str(error).split()),
                target=assertion.name or assertion.expression,
                next_step="Correct it under assertions; https://jmespath.org tells the language.",
            ) from error
    taken = tuple(
        SampledCollection(entry["name"], entry["collection"], tuple(entry["pipeline"] or ())) for entry in samples
    )
    for sample in taken:
        if any(stage in _WRITING for entry in sample.pipeline for stage in entry):
            raise MaintenanceError(
                "the pipeline of a sample writes", target=sample.name, next_step="Leave out $out and $merge."
            )
    return assertions, taken


def check_assertions(
    connection: Connection,
    database: str,
    assertions: Sequence[Assertion],
    samples: Sequence[SampledCollection] = (),
    facts: Optional[BackupFacts] = None,
) -> Tuple[List[str], List[str]]:
    """Which assertions do not hold, a sentence each: those that fail the backup, and those that only warn.

    Raises:
        MaintenanceError: an expression or a pipeline is wrong, which says nothing about the backup.
    """
    failed: List[str] = []
    warned: List[str] = []
    known = facts or BackupFacts(datetime.now(timezone.utc))
    values: Dict[str, Any] = {}
    if any(assertion.expression for assertion in assertions):
        values = {
            "database": database,
            "counts": dict(known.counts),
            "backup": {"started": format_utc(known.started), "files": dict(known.files)},
            "samples": {sample.name: take_sample(connection, database, sample) for sample in samples},
        }
    for assertion in assertions:
        text = (
            _judge(assertion, values, known.started)
            if assertion.expression
            else _count(connection, database, assertion)
        )
        if text:
            (warned if assertion.severity == WARN else failed).append(text)
    return failed, warned


def _count(connection: Connection, database: str, assertion: Assertion) -> str:
    where = "%s.%s" % (database, assertion.collection)
    target = connection.client[database].get_collection(assertion.collection, codec_options=_CODEC)
    with mongo_errors("cannot check an assertion", where):
        condition = json_util.loads(json.dumps(assertion.condition), json_options=_JSON)
        count = target.count_documents(condition)
    text = ""
    if assertion.least is not None and count < assertion.least:
        text = "less than %d" % assertion.least
    elif assertion.most is not None and count > assertion.most:
        text = "more than %d" % assertion.most
    if not text:
        return ""
    said = "%s: %d documents match %s, %s" % (where, count, json.dumps(assertion.condition), text)
    return "%s (%s)" % (_said(assertion), said) if assertion.name else said


def _judge(assertion: Assertion, values: Mapping[str, Any], started: datetime) -> str:
    """What to say where an expression does not give true; never what it gave, which may be a customer's."""
    options = jmespath.Options(custom_functions=_Functions(started))
    try:
        result = jmespath.compile(assertion.expression).search(values, options)
    except JMESPathError as error:
        raise MaintenanceError(
            "an assertion cannot be worked out (%s)" % type(error).__name__,
            target=assertion.name or assertion.expression,
            next_step="Correct the expression, which is %s. Nothing was said about the backup." % assertion.expression,
        ) from error
    if result is True:
        return ""
    gave = "it is false"
    if result is not False:
        gave = "it gives neither true nor false, but %s" % ("null" if result is None else "a %s" % _kind(result))
    return "%s (%s)" % (_said(assertion), gave)


def _kind(value: Any) -> str:
    for kind, word in ((str, "text"), (list, "list"), (dict, "mapping")):
        if isinstance(value, kind):
            return word
    return "number"


def _said(assertion: Assertion) -> str:
    return "the assertion does not hold: %s" % (assertion.name or assertion.expression)


def take_sample(connection: Connection, database: str, sample: SampledCollection) -> List[Any]:
    """Documents of a restored database as values of JSON: dates as UTC timestamps, ids as their hexadecimal digits."""
    found: List[Any] = []
    size = 0
    target = connection.client[database].get_collection(sample.collection, codec_options=_RAW)
    with mongo_errors("cannot take the sample %s" % sample.name, "%s.%s" % (database, sample.collection)):
        stages = json_util.loads(json.dumps(list(sample.pipeline)), json_options=_JSON)
        with target.aggregate([*stages, {"$limit": MAX_DOCUMENTS}], allowDiskUse=True) as cursor:
            for document in cursor:
                size += len(document.raw)
                if size > MAX_BYTES:
                    break
                found.append(as_json(bson.decode(document.raw, _CODEC)))
    return found


def as_json(value: Any) -> Any:
    """A value of a document as JSON has it. Pure."""
    if value is None or isinstance(value, (bool, str, float)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    if isinstance(value, datetime):
        return format_utc(value)
    if isinstance(value, DatetimeMS):
        # Beyond the years that Python knows.
        return None
    if isinstance(value, bson.Decimal128):
        return float(value.to_decimal())
    if isinstance(value, bytes):
        return None
    return str(value)
