# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which modules can be called in one process with others."""

from __future__ import annotations

from typing import Tuple

from .._core.arguments import ArgumentSpec
from .._core.runner import Work, acting, reading

NAMES = ("log_prune", "log_rotate", "mongo_compact", "mongo_orphans", "perm_audit", "port_audit", "secret_scan")


def known(name: str) -> Tuple[Work, ArgumentSpec]:
    """What a module does, and its options. What it needs is imported when it is asked for."""
    if name == "perm_audit":
        from .._audit.audit_arguments import PERMISSION_AUDIT_ARGUMENTS
        from .permission_audit import PermissionAudit

        return acting(PermissionAudit), PERMISSION_AUDIT_ARGUMENTS
    if name == "secret_scan":
        from .._audit.audit_arguments import SECRET_SCAN_ARGUMENTS
        from .._audit.secret_scan import scan_secrets

        return reading(scan_secrets), SECRET_SCAN_ARGUMENTS
    if name == "port_audit":
        from .._audit.audit_arguments import PORT_AUDIT_ARGUMENTS
        from .port_audit import audit_ports

        return reading(audit_ports), PORT_AUDIT_ARGUMENTS
    if name == "mongo_compact":
        from .._mongo.compacting import MongoCompact
        from .connection import prepare_connection
        from .mongo_arguments import MONGO_COMPACT_ARGUMENTS

        return acting(MongoCompact, prepare_connection), MONGO_COMPACT_ARGUMENTS
    if name == "mongo_orphans":
        from .._mongo.orphan_task import MongoOrphans
        from .connection import prepare_connection
        from .mongo_arguments import MONGO_ORPHANS_ARGUMENTS

        return acting(MongoOrphans, prepare_connection), MONGO_ORPHANS_ARGUMENTS
    if name == "log_rotate":
        from .._logs.log_arguments import LOG_ROTATE_ARGUMENTS
        from .._logs.rotating import LogRotate

        return acting(LogRotate), LOG_ROTATE_ARGUMENTS
    from .._logs.log_arguments import LOG_PRUNE_ARGUMENTS
    from .._logs.pruning import LogPrune

    return acting(LogPrune), LOG_PRUNE_ARGUMENTS
