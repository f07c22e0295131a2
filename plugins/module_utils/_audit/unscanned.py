# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a scan for secrets passes over, with counts: silence about a file that nobody read says nothing. Pure."""

from __future__ import annotations

from typing import Dict, List

from .._core.finding import printable
from .._core.late_dataclass import dataclass
from .._core.plan import Kept
from .secret_files import copied_file, env_file

EXCLUDED, ENVIRONMENT, LARGE, PACKED, STYLES, OURS_ONLY = (
    "excluded directories",
    "environment files",
    "large files",
    "packed files",
    "style sheets",
    "lock files, pictures and fonts",
)
# As measured with Kingfisher 2.14.0 and --no-extract-archives; a test compares these lists with what it does.
PACKED_ENDINGS = frozenset(
    "aar apk asar bz2 docx ear egg epub gz gzip ipa jar jmod nupkg ods odt pptx tar tgz vsix war xlsx xpi xz zip zipx".split()
)
STYLE_ENDINGS = frozenset(("css",))
PICTURE_ENDINGS = frozenset("bmp eot gif jpeg jpg otf png svg tif ttf woff woff2".split())
LOCK_NAMES = frozenset(
    "Pipfile.lock go.mod go.sum npm-shrinkwrap.json package-lock.json pnpm-lock.yaml poetry.lock yarn.lock".split()
)
_REASONS = {
    EXCLUDED: "%d %s such as %s: excluded",
    ENVIRONMENT: "%d %s such as %s: secrets belong there; perm_audit looks at their modes",
    LARGE: "%d %s such as %s: larger than the scan reads",
    PACKED: "%d %s such as %s: they are not unpacked",
    STYLES: "%d %s such as %s: Kingfisher does not read them",
    OURS_ONLY: "%d %s such as %s: only our own rules are applied to them, not Kingfisher's",
}
NOT_READ = (LARGE, PACKED, STYLES)


@dataclass
class Passed:
    """How many objects of one kind were passed over, and one of them."""

    count: int = 0
    example: str = ""


def unscanned_kind(name: str, size: int, limit: int) -> str:
    """Why a file is not, or not wholly, scanned; "" for one that is. Pure.

    Args:
        name: base name.
        size: in bytes.
        limit: the largest size that is read, in bytes.
    """
    if env_file(name) and not copied_file(name):
        return ENVIRONMENT
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending in PACKED_ENDINGS:
        return PACKED
    if ending in STYLE_ENDINGS:
        return STYLES
    if size > limit:
        return LARGE
    return OURS_ONLY if ending in PICTURE_ENDINGS or name in LOCK_NAMES else ""


def kept_entries(found: Dict[str, Passed]) -> List[Kept]:
    """What was passed over, one entry for each kind. Pure."""
    return [
        Kept(kind, _REASONS[kind] % (passed.count, _noun(kind, passed.count), printable(passed.example)))
        for kind, passed in sorted(found.items())
    ]


def _noun(kind: str, count: int) -> str:
    plural = "directories" if kind == EXCLUDED else "files"
    singular = "directory" if kind == EXCLUDED else "file"
    return singular if count == 1 else plural
