# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compiled code of what Ansible sends, kept on the host beside the libraries.

Ansible sends each module as a zip archive with all that it imports, and Python compiles every file of it anew at each call:
zipimport never writes what it has compiled. That is about a third of what a call of this collection costs. Here the
compiled code is kept in a directory of the collection's own virtual environment, named after the SHA-256 of the source, so
that code is only ever used for the very source that was sent. Whoever may write there may write the libraries as well.

Where there is no such directory, or it is not the user's own, everything is as without it.

Mitogen sends no archive: one interpreter stays on the host for a whole run, and its importer asks the controller for each file and compiles it. It
goes on asking, and only what it would compile is taken from the same directory. Other people's modules run in that interpreter, too: there
nothing but this collection's own files is touched.

A copy of this file lies in that environment, too: what starts a module there (`start.py` of the role prerequisites) has it installed before
Ansible's own part is imported, which is more than most modules of ours.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from typing import Any, Dict, List, Optional, Tuple
from zipimport import ZipImportError, zipimporter

# The role prerequisites makes it. A virtual environment without it is somebody else's.
DIRECTORY = "miniecom-code"
ROOTS = ("ansible_collections.", "ansible.module_utils.")
OWN_ROOT = "ansible_collections.miniecom.maintenance."
# A version of the collection with one of ansible-core is about 400 files; the oldest of more than a few versions go.
MOST_FILES = 2000
# What is asked of Mitogen's importer (0.3.54).
_IMPORTER = ("find_spec", "create_module", "exec_module", "get_source")
_DIGEST = hashlib.sha256().digest_size


class CodeCache:
    """The directory, and what was compiled in this process and is not in it yet."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.fresh: List[Tuple[str, bytes]] = []

    def read(self, name: str) -> bytes:
        """Compiled code as it was kept.

        Raises:
            OSError: there is none, or it is damaged: both mean to compile.
        """
        with open(os.path.join(self.directory, name), "rb") as handle:
            content = handle.read()
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            raise OSError("damaged: %s" % name)
        return content[_DIGEST:]

    def keep(self) -> None:
        """Write what is fresh. It is only a cache: what cannot be written is compiled again next time."""
        fresh, self.fresh = self.fresh, []
        try:
            for name, data in fresh:
                self._write(name, hashlib.sha256(data).digest() + data)
            if fresh:
                self._forget_old()
        except OSError:
            pass

    def _write(self, name: str, content: bytes) -> None:
        temporary = os.path.join(self.directory, ".%s.%d" % (name, os.getpid()))
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(content)
            os.rename(temporary, os.path.join(self.directory, name))
        except OSError:
            os.unlink(temporary)
            raise

    def _forget_old(self) -> None:
        """Keep the newest files, by the time of writing; what is still used comes again."""
        with os.scandir(self.directory) as entries:
            found = sorted((entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in entries)
        for _mtime, path in found[: max(0, len(found) - MOST_FILES)]:
            os.unlink(path)


class _Loader(SourceFileLoader):
    """Loads one module from source that is at hand, with its compiled code from the cache.

    SourceFileLoader asks for the compiled file by a name beside the source's; that name is taken for the cache's.
    """

    def __init__(self, fullname: str, path: str, source: bytes, cache: CodeCache) -> None:
        super().__init__(fullname, path)
        self._source = source
        self.cache = cache
        self._name = "%s.%s.pyc" % (hashlib.sha256(source).hexdigest(), sys.implementation.cache_tag)

    def path_stats(self, path: Any) -> Dict[str, Any]:
        # The name of the compiled file tells what source it was made from, better than a time could.
        return {"mtime": 0, "size": len(self._source)}

    def get_data(self, path: Any) -> bytes:
        return self._source if path == self.path else self.cache.read(self._name)

    def set_data(self, path: Any, data: Any, *, _mode: int = 0o666) -> None:
        self.cache.fresh.append((self._name, bytes(data)))


class _Finder:
    """Finds what Ansible sent in its archive, before zipimport does."""

    def __init__(self, archive: zipimporter, cache: CodeCache) -> None:
        self._archive = archive
        self._cache = cache

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        if not fullname.startswith(ROOTS):
            return None
        base = os.path.join(self._archive.archive, *fullname.split("."))
        for name, inside in ((os.path.join(base, "__init__.py"), [base]), (base + ".py", None)):
            try:
                source = self._archive.get_data(name)
            except OSError:
                continue
            loader = _Loader(fullname, name, source, self._cache)
            return spec_from_file_location(fullname, name, loader=loader, submodule_search_locations=inside)
        return None


class _SentLoader:
    """Loads one module as Mitogen's importer does, up to compiling; what was loaded is the importer's own."""

    def __init__(self, importer: Any, cache: CodeCache) -> None:
        self._importer = importer
        self._cache = cache

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._importer.create_module(spec)

    def exec_module(self, module: Any) -> None:
        spec = module.__spec__
        # The importer serves no submodule of a package that another loader has loaded.
        spec.loader = module.__loader__ = self._importer
        source = self._importer.get_source(spec.name)
        code = None
        if isinstance(source, str) and isinstance(spec.origin, str):
            code = _Loader(spec.name, spec.origin, source.encode("utf-8"), self._cache).get_code(spec.name)
        if code is None:
            self._importer.exec_module(module)
        else:
            exec(code, module.__dict__)  # noqa: S102  # pylint: disable=exec-used


class _SentFinder:
    """Finds what Mitogen's importer would load of this collection, before the importer does."""

    def __init__(self, importer: Any, cache: CodeCache) -> None:
        self._importer = importer
        self._cache = cache

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        if not fullname.startswith(OWN_ROOT):
            return None
        # The importer asks all finders, this one among them, whether the host has the module itself, and answers None meanwhile.
        spec: Optional[ModuleSpec] = self._importer.find_spec(fullname, path, target)
        if spec is not None and spec.loader is self._importer:
            spec.loader = _SentLoader(self._importer, self._cache)  # type: ignore[assignment]
        return spec


class _Waiting:
    """Stands before all finders until Ansible's archive is there, that is until its package is imported from it."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        if fullname == "ansible":
            sys.meta_path.remove(self)  # type: ignore[arg-type]
            try:
                install(zipimporter(sys.path[0]))
            except ZipImportError:
                pass
        return None


def _directory() -> Optional[str]:
    """Where code is kept, if this process may trust it: nobody else may write there."""
    path = os.path.join(sys.prefix, DIRECTORY)
    try:
        status = os.lstat(path)
    except OSError:
        return None
    trusted = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return path if trusted else None


def install_at_ansible() -> None:
    """Let what Ansible sends be found in the cache from the first file on. For what starts modules, before there is an archive."""
    sys.meta_path.insert(0, _Waiting())  # type: ignore[arg-type]


def _finder(loader: Any, cache: CodeCache) -> Any:
    """What finds modules in the cache before `loader` loads them; None for a loader of another kind."""
    if isinstance(loader, zipimporter):
        return _Finder(loader, cache)
    # Mitogen's importer is its own loader. No other one that could have loaded a file of ours stands among the finders itself.
    if any(finder is loader for finder in sys.meta_path) and all(hasattr(loader, name) for name in _IMPORTER):
        return _SentFinder(loader, cache)
    return None


def install(loader: Any) -> Optional[CodeCache]:
    """Let what is imported from now on be found in the cache, if there is one and `loader` reads from an archive or is Mitogen's importer.

    Returns:
        The cache, which may have been installed before: then `loader` is its own.
    """
    installed: Optional[CodeCache] = getattr(loader, "cache", None)
    if installed is not None:
        return installed
    directory = _directory() if sys.implementation.cache_tag else None
    if directory is None:
        return None
    cache = CodeCache(directory)
    finder = _finder(loader, cache)
    if finder is None:
        return None
    sys.meta_path.insert(0, finder)
    return cache
