# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The SARIF log against the part of the standard's schema (OASIS SARIF 2.1.0) that it uses, for any finding."""

from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.sarif import to_sarif
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.finding import SEVERITIES, Finding

TEXT = {"type": "string"}


def closed(required: str = "", **properties: Any) -> dict[str, Any]:
    """An object with these keys and no others, as the standard's are."""
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": required.split(),
    }


def many(items: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


NUMBER = {"type": "integer", "minimum": 1}
MESSAGE = closed("text", text=TEXT)
LOCATION = closed(
    physicalLocation=closed(
        artifactLocation=closed(uri={"type": "string", "format": "uri-reference"}),
        region=closed(startLine=NUMBER, startColumn=NUMBER),
    ),
    logicalLocations=many(closed(fullyQualifiedName=TEXT)),
)
RULE = closed("id", id=TEXT, name=TEXT, shortDescription=MESSAGE, help=MESSAGE, properties={"type": "object"})
SUPPRESSION = closed(
    "kind",
    kind={"enum": ["inSource", "external"]},
    status={"enum": ["accepted", "underReview", "rejected"]},
    justification=TEXT,
)
RESULT = closed(
    "message",
    ruleId=TEXT,
    level={"enum": ["none", "note", "warning", "error"]},
    message=MESSAGE,
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    baselineState={"enum": ["new", "unchanged", "updated", "absent"]},
    locations=many(LOCATION, 1),
    suppressions=many(SUPPRESSION),
)
DRIVER = closed("name", name=TEXT, rules={**many(RULE), "uniqueItems": True})
LOG = closed(
    "version runs",
    **{"$schema": {"type": "string", "format": "uri"}},
    version={"const": "2.1.0"},
    runs=many(closed("tool", tool=closed("driver", driver=DRIVER), results=many(RESULT)), 1),
)

FINDINGS = st.builds(
    Finding,
    rule=st.sampled_from(["env-readable", "GHSA-1", "x.y"]),
    severity=st.sampled_from(SEVERITIES),
    target=st.one_of(st.text(), st.text().map(lambda name: "/" + name)),
    message=st.text(),
    remediation=st.text(),
    line=st.integers(0, 9),
    column=st.integers(0, 9),
    status=st.sampled_from(["new", "known", "waived", "fixed"]),
    reason=st.text(),
    until=st.just("2027-01-01"),
)


@given(st.lists(FINDINGS, max_size=5))
def test_the_log_is_as_the_schema_wants_it(found: list[Finding]) -> None:
    jsonschema.Draft7Validator(LOG).validate(to_sarif("perm_audit", found))
