# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on orphans the plain way: every distinct reference is decoded and looked up, whatever it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import orphans
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.relations import Relation


class EachLookedUp(orphans.OrphanFinder):
    """What the module did before it read references and keys in order; now the model that it is tested and measured against."""

    def _counted_at_once(self, relation: Relation) -> orphans.RelationFindings | None:
        return None

    def _dangling(self, relation: Relation, report: orphans.RelationFindings, indexed: bool) -> Iterator[Any]:
        stages: list[dict[str, Any]] = [{"$sort": {relation.path: 1}}] if indexed else []
        if not indexed:
            stages += [
                {"$project": {"_id": 0, relation.path: 1}},
                *({"$unwind": "$" + path} for path in relation.lists),
            ]
        stages.append({"$group": {"_id": "$" + relation.path}})
        with self._database[relation.collection].aggregate(
            stages, allowDiskUse=True, batchSize=orphans.PROBE_BATCH, **self._exact(relation.collection)
        ) as cursor:
            values = (entry.get("_id") for entry in cursor)
            for batch in orphans._batches(values, orphans.PROBE_BATCH):
                yield from self._missing(relation, batch, report)

    def _missing(self, relation: Relation, batch: list[Any], report: orphans.RelationFindings) -> Iterator[Any]:
        types = self._key_types(relation)
        references: dict[Any, tuple[Any, ...]] = {}
        for value in batch:
            judgement = orphans.judge_value(value, relation, types, self._database.name)
            if judgement.kind in ("reference", "malformed"):
                references[value] = judgement.probes
                report.references += judgement.kind == "reference"
            elif judgement.kind == "other":
                report.incomparable += 1
            elif judgement.kind == "absent" and not relation.optional:
                yield None
        existing = self._existing(relation, references.values())
        for value, probes in references.items():
            if not existing.intersection(probes):
                report.missing += not orphans.is_malformed(value)
                yield value
