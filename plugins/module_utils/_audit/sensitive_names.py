# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files of a shop are sensitive, by their names, and which names say nothing. Pure."""

from __future__ import annotations

import re

from .permission_rules import DUMP, ENV, SECRET
from .secret_files import ARCHIVE_ENDINGS, PEM_ENDINGS, copied_file, env_file, secret_file, without_copy_mark

# Endings of what a tree is full of. A file of such a name holds no secret by its name, is no dump, and is not looked into:
# of a million files nearly all are answered by this alone.
ORDINARY_ENDINGS = (
    "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "vue", "map", "css", "scss", "sass", "less", "html", "htm", "ejs",
    "hbs", "pug", "md", "mdx", "svg", "png", "jpg", "jpeg", "gif", "webp", "avif", "ico", "bmp", "woff", "woff2", "ttf",
    "otf", "eot", "mp4", "webm", "mp3", "pdf", "py", "pyc", "snap", "flow", "JPG", "JPEG", "PNG",
)  # fmt: skip
_ENDINGS = "|".join(ORDINARY_ENDINGS)
# The same test for Python (a base name) and for find (a path, POSIX extended). JSON may be credentials or secrets.
ORDINARY = re.compile(r"(?s)(?:[^.].*\.(?:%s)|[^.cCsS].*\.json)\Z" % _ENDINGS)
ORDINARY_PATH = r".*/([^./][^/]*\.(%s)|[^./cCsS][^/]*\.json)" % _ENDINGS

_SAMPLE_WORDS = frozenset(("example", "sample", "template", "dist", "tpl", "tmpl"))
_WORD = re.compile(r"[._~-]+")
_CREDENTIALS = frozenset(
    (
        ".authinfo",
        ".boto",
        ".dockercfg",
        ".dockerconfigjson",
        ".git-credentials",
        ".msmtprc",
        ".mylogin.cnf",
        ".pypirc",
        ".s3cfg",
        ".smbcredentials",
        "_netrc",
        "credentials",
        "kubeconfig",
        "rclone.conf",
        "secrets.json",
        "secrets.yaml",
        "secrets.yml",
    )
)
_KEYFILE = re.compile(r"(?:[\w.-]*[._-])?keyfile(?:\.txt)?\Z")
_VAULT_PASSWORD = re.compile(r"\.?(?:[\w.-]*[._-])?vault[._-]?pass(?:word|wd|phrase)?(?:[._-]file)?(?:\.txt)?\Z")
_PACKED = r"(?:\.(?:gz|zst|xz|bz2|zip|gpg|age))*"
_DUMP = re.compile(
    r"(?:.*\.(?:dump|bson|rdb)%s|(?:.*[._-])?(?:mongo|mongodb|mongodump|dump|db)[\w.-]*\.archive%s|\d{8}_\d{6}\.(?:tar|tgz)%s)\Z"
    % (_PACKED, _PACKED, _PACKED)
)
# Their content decides: schemas and seeds are code, archives may be anything.
_UNDECIDED = frozenset(
    [ending[1:] for ending in ARCHIVE_ENDINGS]
    + "7z archive bin copy dat data db old orig out save sqlite tmp txt log".split()
)


def name_class(name: str) -> str:
    """The class of a file by its name alone: env, secret, dump, or "" for any other."""
    if ORDINARY.match(name):
        return ""
    if env_file(name):
        return ENV
    if secret_file(name):
        return SECRET
    lower = name.lower()
    if _DUMP.match(lower):
        return DUMP
    plain = without_copy_mark(lower)
    if _SAMPLE_WORDS.intersection(_WORD.split(lower)):
        return ""
    if plain == ".envrc" or plain.endswith(".env") or re.match(r"\.env[._~-]", lower):
        return ENV
    if plain in _CREDENTIALS or _KEYFILE.match(plain) or _VAULT_PASSWORD.match(plain):
        return SECRET
    return SECRET if plain != lower and secret_file(plain) else ""


def name_says_nothing(name: str) -> bool:
    """Whether the content of a file of that name has to be asked for what it is."""
    if ORDINARY.match(name):
        return False
    stem, _dot, ending = name.rpartition(".")
    if not stem:
        return True
    lower = ending.lower()
    return lower in _UNDECIDED or lower in PEM_ENDINGS or not lower.isalpha() or len(lower) > 10 or copied_file(name)
