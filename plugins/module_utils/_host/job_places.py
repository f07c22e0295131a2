# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the shop keeps what must not vanish, and which of it the removal of a path would reach. Pure."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from typing import FrozenSet, List, Sequence, Tuple

# Marks in expanded words: what no reader of the text can know, what a run makes anew (a moment, a temporary name), and
# what lies anywhere below a directory, followed by a pattern for names.
UNKNOWN, UNKNOWN_END, OWN, BELOW = "\ue000", "\ue001", "\ue002", "\ue003"
_UNKNOWN = re.compile("\ue000([^\ue001]*)\ue001")

BACKUPS, DATA = "backups", "data"
# A directory of backups by its name alone, and one that nobody can tell.
LIKE_BACKUPS, UNRESOLVED = "like backups", "unresolved"

_BACKUP_NAME = re.compile(
    r"back-?_?ups?(?![a-z])|bkps?(?![a-z])|(?<![a-z])dumps?(?![a-z])|archives?(?![a-z])|snapshots?", re.IGNORECASE
)
_PASSING = re.compile(
    r"te?mp(?![a-z])|te?mp_?(?:dir|file)|scratch|lock|pid|logs?(?![a-z])|logs?_?(?:dir|file)|cache|work(?![a-z])|work_?dir"
    r"|staging",
    re.IGNORECASE,
)
# Names beside the backups whose removal loses none.
_JUNK = re.compile(
    r"(?:^|[._-])(?:te?mp|work|staging|partial|incomplete|cache)(?=$|[._*-])"
    r"|\.(?:log|pid|lock|md5|sha\d+|sums?|txt|swp|err|out|html|csv|part|pyc|bak~)(?:[.*?-].*)?$|~$",
    re.IGNORECASE,
)
_TEMPORARY = ("/tmp", "/var/tmp", "/dev", "/run", "/var/run", "/proc", "/sys", "/var/cache", "/var/log")  # noqa: S108
_SAMPLES = {
    BACKUPS: ("20260312_020000.tar.gz", "20260312_020000.tar.gz.enc", "20260312_020000", "mongo.archive.gz"),
    DATA: ("photo-1.jpg", "image.png", "INV-000001.pdf", "collection-7.wt"),
}
_DATA_FOLDERS = (
    "uploads storage/uploads storage/invoices storage/labels backend/uploads backend/storage/uploads "
    "backend/storage/invoices backend/storage/labels"
).split()
# Of the machine, and of the API's container.
_SYSTEM_DATA = (
    "/var/lib/mongodb",
    "/var/lib/mongo",
    "/data/db",
    "/app/uploads",
    "/app/storage/uploads",
    "/app/storage/invoices",
    "/app/storage/labels",
)
# Where an engine keeps them.
VOLUMES = "/var/lib/docker/volumes"
_SHOP_VOLUME = re.compile(r"mongo|api_storage|uploads", re.IGNORECASE)
_NAMES = frozenset(["miniecom", "handmade_harmony", "ecommerce"])


def unknown(name: str = "") -> str:
    """What stands for the value of a variable that cannot be known; its name tells a little."""
    return UNKNOWN + name + UNKNOWN_END


def junk(name: str) -> bool:
    """Whether a name, or a pattern for names, is of nothing that anybody would restore."""
    return bool(_JUNK.search(name))


def like_backups(text: str) -> bool:
    return bool(_BACKUP_NAME.search(text))


def _pieces(path: str) -> List[str]:
    return [piece for piece in path.split("/") if piece]


def _fits(name: str, pattern: str) -> bool:
    # The time that fnmatch takes grows with the power of the asterisks.
    return pattern.count("*") > 5 or fnmatchcase(name, pattern)


def _matches(pattern: Sequence[str], pieces: Sequence[str]) -> bool:
    return all(_fits(piece, wanted) for wanted, piece in zip(pattern, pieces))


class Places:
    """The shop's places.

    Args:
        root: its directory.
        backups: directories of its backups; ``storage/backups`` is always one.
        names: of its databases and of its compose project.
    """

    def __init__(self, root: str, backups: Sequence[str] = (), names: Sequence[str] = ()) -> None:
        self.root = os.path.normpath(root)
        own = os.path.join(self.root, "storage/backups")
        self.backups: Tuple[str, ...] = tuple(
            dict.fromkeys([own, *(os.path.normpath(path) for path in backups if path)])
        )
        self.data = tuple(os.path.join(self.root, directory) for directory in _DATA_FOLDERS) + _SYSTEM_DATA
        self.names: FrozenSet[str] = frozenset(name for name in names if name) or _NAMES
        directories = "|".join(re.escape(directory) for directory in (self.root, *self.backups[1:]))
        # This collection's own units and directories are named miniecom-maintenance, its playbooks miniecom.maintenance.
        self._speech = re.compile(r"(?:%s)(?![\w.-])|(?i:miniecom)(?![-._]maintenance)" % directories)

    def speaks_of_shop(self, text: str) -> bool:
        return bool(self._speech.search(text))

    def speaks_of_backups(self, text: str) -> bool:
        """Whether a word names a directory of backups, by its path or by the variable that holds it."""
        return any(directory in text for directory in self.backups) or (
            ("/" in text or UNKNOWN in text) and like_backups(text)
        )

    def inside(self, path: str) -> bool:
        return path == self.root or path.startswith(self.root + "/")

    def in_backups(self, path: str, cwd: str) -> bool:
        """Whether a path is a directory of backups, or something in one, and no more than that."""
        whole = os.path.normpath(path.partition(BELOW)[0] if path.startswith("/") else cwd + "/" + path)
        return any(whole == directory or whole.startswith(directory + "/") for directory in self.backups)

    def reached(self, target: str, cwd: str, deep: bool, depth: int = 99) -> FrozenSet[str]:
        """What the removal of a target would reach: of BACKUPS, DATA, LIKE_BACKUPS, UNRESOLVED.

        Args:
            target: an expanded word, with marks and glob patterns.
            cwd: the directory in which it is removed, "" when unknown.
            deep: whether directories go with all that is in them.
            depth: how many directories deep at most.
        """
        base, below, pattern = target.partition(BELOW)
        if below and pattern and junk(pattern):
            return frozenset()
        if base.startswith(UNKNOWN):
            return self._by_name(base + "/" + pattern)
        if not base.startswith("/"):
            if not cwd or cwd.startswith(UNKNOWN):
                return self._by_name("/".join((cwd or unknown(), base, pattern)))
            base = cwd + "/" + base
        pieces = _pieces(os.path.normpath(_UNKNOWN.sub("*", base)))
        if any(OWN in piece and not re.search(r"[*?]", piece) for piece in pieces):
            return frozenset()  # what this very run has made
        pieces = [piece.replace(OWN, "*") for piece in pieces]
        found = set()
        for kind, directories in ((BACKUPS, self.backups), (DATA, self.data)):
            if any(
                self._reaches(pieces, _pieces(directory), kind, pattern, deep or bool(below), depth)
                for directory in directories
            ):
                found.add(kind)
        path = "/" + "/".join(pieces)
        if path == VOLUMES or path.startswith(VOLUMES + "/"):
            names = pieces[len(_pieces(VOLUMES)) :]
            shops = names and (self.speaks_of_shop(names[0]) or _SHOP_VOLUME.search(names[0]) or "*" in names[0])
            return frozenset([DATA]) if shops or (deep and not names) else frozenset()
        within = self.inside(path)
        named = [piece for piece in _pieces(path[len(self.root) :] if within else path) if like_backups(piece)]
        if any(path.startswith(directory + "/") for directory in self.backups):
            return frozenset(found)
        if not found and named and not junk(pieces[-1]) and not self._temporary(path):
            found.add(BACKUPS if within else LIKE_BACKUPS)
        return frozenset(found)

    @staticmethod
    def _temporary(path: str) -> bool:
        return any(path == directory or path.startswith(directory + "/") for directory in _TEMPORARY)

    @staticmethod
    def _by_name(target: str) -> FrozenSet[str]:
        name = " ".join(_UNKNOWN.findall(target))
        rest = _UNKNOWN.sub("", target)
        if OWN in rest or junk(rest.rstrip("/").rsplit("/", 1)[-1]):
            return frozenset()
        if like_backups(name) or like_backups(rest):
            return frozenset([LIKE_BACKUPS])
        if name and _PASSING.search(name):
            return frozenset()
        return frozenset([UNRESOLVED])

    @staticmethod
    def _reaches(target: List[str], directory: List[str], kind: str, pattern: str, deep: bool, depth: int) -> bool:
        if not _matches(target, directory):
            return False
        if len(target) > len(directory):
            inner = target[len(directory) :]
            # What is called so is a link to one of the others.
            return not any(junk(piece) for piece in inner) and (deep or inner not in (["latest"], ["current"]))
        if not deep or len(directory) - len(target) + 1 > depth:
            return False
        if pattern and len(target) < len(directory):
            return any(_fits(name, pattern) for name in (*_SAMPLES[kind], directory[-1]))
        return True
