#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_orphans
short_description: Finds documents whose reference points nowhere
version_added: 0.1.0
description:
  - Looks up every reference of the shop's data, and reports those whose document is gone, with counts and some ids. It changes nothing.
  - A reference counts as good when it is found in any form in which an id may be written, so that the text V(65a1...) finds the ObjectId of the same digits.
  - Null, absent and empty references, the text V(guest) and whatever else O(relations[].ignore) names are no orphans.
  - Values that cannot be equal to any key, such as a number where all keys are ObjectIds, or a list where one value is expected, are counted as
    incomparable and not as orphans.
  - Text that a program wrote in place of an id, V(undefined), V(null), V(NaN), V([object Object]) or V(ObjectId("...")), is counted as a malformed
    reference and not as an orphan; no document has gone there.
  - A relation is not judged when the collection referred to is missing or empty, or its key is null everywhere, since then everything would be an
    orphan; nor are references in a view that has a collation.
  - Documents younger than O(min_age) are not judged, and each orphan is looked up a second time after its document was read, so that what is
    inserted meanwhile is no orphan.
  - References are streamed in batches. Memory stays small on both sides, whatever the size of the collections, and an index on the field is used
    where there is one.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.mongo
  - miniecom.maintenance.mongo.address
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
options:
  database:
    description: The database. Default is the one that the connection string names.
    type: str
  relations:
    description:
      - What refers to what. Default is the shop's own data model with all its references.
    type: list
    elements: dict
    suboptions:
      collection:
        description: The collection that holds the references. Wildcards V(*) and V(?) stand for all collections that match, archives excepted.
        type: str
        required: true
      field:
        description: Path of the field, such as V(userId). V(items[].productId) is a field of each element of the list C(items).
        type: str
        required: true
      references:
        description: The collection referred to.
        type: str
        required: true
      key:
        description: The field there that is referred to. Any other than V(_id) needs an index.
        type: str
        default: _id
      optional:
        description: Whether null and absent are ordinary. If not, they count as orphans.
        type: bool
        default: true
      id_forms:
        description: Forms of one and the same id that are taken as equal.
        type: list
        elements: str
        choices: [objectid, hex_string]
        default: [objectid, hex_string]
      ignore:
        description: Text that stands for no reference.
        type: list
        elements: str
        default: ["", "guest"]
      unit:
        description:
          - What one orphan is. V(element) makes the last list on the path one whose elements are judged one by one, as V([]) in O(relations[].field) does.
          - Default is V(document), or V(element) where the field has V([]).
        type: str
        choices: [document, element]
  min_age:
    description: Documents younger than this are not judged, by the time in their C(_id) and their C(createdAt), the later one. Such as V(1h) or V(7d).
    type: str
    default: 1h
  samples:
    description: How many ids of documents to return for each relation.
    type: int
    default: 5
notes:
  - The user needs the role C(read) on the database.
  - On a replica set the primary is read, as a member that lags would make orphans of what it has not seen yet.
seealso:
  - module: miniecom.maintenance.mongo_info
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Report what points nowhere in the shop
  miniecom.maintenance.mongo_orphans:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
  register: orphans

- name: Show relations that have orphans
  ansible.builtin.debug:
    msg: "{{ orphans.relations | selectattr('orphans') | list }}"

- name: Judge a field of one's own
  miniecom.maintenance.mongo_orphans:
    env_file: /opt/miniecom/.env
    min_age: 7d
    relations:
      - collection: gift_cards
        field: redemptions[].orderId
        references: orders
      - collection: notifications
        field: recipient
        references: users
        ignore: ["", "guest", "all"]
"""

RETURN = r"""
relations:
  description: The relations, each with what was found.
  returned: success
  type: list
  elements: dict
  contains:
    relation:
      description: Collection and field.
      type: str
    references:
      description: Collection and key referred to.
      type: str
    unit:
      description: What one orphan is, V(document) or V(element).
      type: str
    orphans:
      description: Number of orphans.
      type: int
    documents:
      description: Documents that hold them. With more than 50000 missing references, one that holds several may count more than once.
      type: int
    distinct_references:
      description: Different references that were looked up.
      type: int
    incomparable:
      description: Different values that no key can be equal to; never counted as orphans.
      type: int
    too_young:
      description: References that point nowhere so far, in documents younger than O(min_age).
      type: int
    malformed:
      description: Number of references that are text which never was an id, such as V(undefined).
      type: int
    malformed_samples:
      description: Ids of some of the documents that hold them.
      type: list
      elements: str
    samples:
      description: Ids of some of the documents. An _id that is neither an ObjectId nor a number is not shown, since it may be personal.
      type: list
      elements: str
    judged:
      description: Whether anything can be said.
      type: bool
    reason:
      description: Why not.
      type: str
  sample:
    - relation: inventory.productId
      references: products._id
      unit: document
      orphans: 3
      documents: 3
      distinct_references: 3
      incomparable: 0
      too_young: 0
      malformed: 0
      malformed_samples: []
      samples: [65a1b2c3d4e5f60718293a4b]
      judged: true
      reason: ""
summary:
  description: The few numbers a person wants.
  returned: success
  type: dict
  contains:
    headline:
      description: One sentence.
      type: str
    orphans:
      description: Orphans of all relations.
      type: int
    documents:
      description: Documents that hold them, counted for each relation.
      type: int
    malformed:
      description: Malformed references of all relations.
      type: int
    relations_judged:
      description: How many relations were judged.
      type: int
    relations_not_judged:
      description: How many were not.
      type: int
"""

from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_info
from ..module_utils._mongo.orphan_search import search_orphans
from ..module_utils._mongo.relations import ID_FORMS, IGNORED
from ..module_utils._operations.connection import CONNECTION_ARGUMENTS, prepare_connection

SPEC = (
    ArgumentSpec(
        {
            "database": {"type": "str"},
            "relations": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "collection": {"type": "str", "required": True},
                    "field": {"type": "str", "required": True},
                    "references": {"type": "str", "required": True},
                    "key": {"type": "str", "default": "_id", "no_log": False},
                    "optional": {"type": "bool", "default": True},
                    "id_forms": {
                        "type": "list",
                        "elements": "str",
                        "choices": list(ID_FORMS),
                        "default": list(ID_FORMS),
                    },
                    "ignore": {"type": "list", "elements": "str", "default": list(IGNORED)},
                    "unit": {"type": "str", "choices": ["document", "element"]},
                },
            },
            "min_age": {"type": "str", "default": "1h"},
            "samples": {"type": "int", "default": 5},
        }
    )
    + CONNECTION_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run_info(search_orphans, SPEC, prepare_connection)


if __name__ == "__main__":
    main()
