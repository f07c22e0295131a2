# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive file of a backup: a tar.gz in the shop's layout, written and read as a stream.

The size of the database dump is known only when it ends, and tar wants it before. Its tar header is therefore written
as a gzip member of its own, uncompressed and so of a fixed length, and written again in place when the size is known.
What is compressed already (the dump itself, images) is stored, not compressed a second time. gzip, tar and Python
read the result like any other tar.gz.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import tarfile
from contextlib import contextmanager
from dataclasses import field
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from .._core.errors import MaintenanceError, from_os_error
from .._core.forward_tar import content_of, has_end, open_forward
from .._core.late_dataclass import dataclass
from .compress import (
    TAKE_ANOTHER,
    DamagedBackup,
    GzipReader,
    GzipWriter,
    MembersReader,
    Reread,
    compressor,
    stored_member,
)
from .doubt import Doubt
from .file_comparison import PartListing
from .manifest import MAX_BYTES, ComponentRecord, FoundCollection, Manifest, parse_manifest
from .plausibility import GZIP_MAGIC
from .unpacking import Unpacker, unpack_entry

DUMP_NAME = "mongo.archive.gz"
# As mongodump writes it without --gzip.
PLAIN_DUMP_NAME = "mongo.archive"
ARCHIVE_MAGIC = b"\x6d\xe2\x99\x81"  # of mongodump's archive format
MANIFEST_NAME = "manifest.json"
RESERVED = (DUMP_NAME, PLAIN_DUMP_NAME, MANIFEST_NAME)
BLOCK = 512
# What takes entries of a backup that is read.
Sink = Union[Unpacker, PartListing]
# Numbers of user and group: as numbers, since the host that restores may know other names.
Owner = Tuple[int, int]
NOBODY_IN_PARTICULAR: Owner = (0, 0)
COPY_BYTES = 1024 * 1024
MAX_COMPONENTS = 1000  # each is counted to the end
# Read whole before its header is written: its size then cannot change in between.
SMALL_FILE_BYTES = 4 * 1024 * 1024
_COMPRESSED = frozenset(
    "7z avif br bz2 docx gif gz heic jpeg jpg lz4 m4a m4v mov mp3 mp4 ogg opus pdf png rar tgz webm webp woff woff2 xlsx xz zip zst".split()
)


@dataclass
class Component:
    """Counts what is written or read of one component."""

    name: str
    kind: str = "directory"
    files: int = 0
    bytes: int = 0
    source: str = ""
    digest: Any = field(default_factory=hashlib.sha256, repr=False)

    def add(self, path: str, size: int, sha256: str) -> None:
        """Note one entry; path relative to the component, sha256 its content's (or "dir", or a link's target)."""
        self.digest.update(("%s %d %s\n" % (sha256, size, path)).encode("utf-8", "surrogateescape"))

    def add_file(self, path: str, size: int, sha256: str) -> None:
        self.files += 1
        self.bytes += size
        self.add(path, size, sha256)

    def record(self) -> ComponentRecord:
        return ComponentRecord(self.name, self.kind, self.files, self.bytes, self.digest.hexdigest(), self.source)

    def found(self) -> FoundCollection:
        return FoundCollection(self.files, self.bytes, self.digest.hexdigest())


class BackupWriter:
    """Writes one backup into an open, seekable file.

    Args:
        write: called with the bytes of the file in order.
        handle: the file that write() writes to; used to go back to a header.
        directory: name of the directory that everything stands in.
        mtime: seconds since the epoch, for entries that have no time of their own.
    """

    def __init__(
        self, write: Callable[[bytes], Any], handle: BinaryIO, directory: str, mtime: int, compression: str
    ) -> None:
        self._write = write
        self._handle = handle
        self._directory = directory
        self._mtime = mtime
        self._stored = GzipWriter(write, compressor("none"), threads=1)
        self._packed = GzipWriter(write, compressor(compression))
        self._current = self._packed
        self.notes: List[str] = []
        self._put(self._header("", 0, tarfile.DIRTYPE, 0o700, mtime), False)

    def _header(
        self,
        name: str,
        size: int,
        kind: bytes,
        mode: int,
        mtime: float,
        link: str = "",
        owner: Owner = NOBODY_IN_PARTICULAR,
    ) -> bytes:
        info = tarfile.TarInfo(self._directory + "/" + name if name else self._directory)
        info.size, info.type, info.mode, info.mtime, info.linkname = size, kind, mode & 0o7777, int(mtime), link
        info.uid, info.gid = owner
        return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")

    def _directory_header(self, name: str, status: os.stat_result) -> bytes:
        owner = (status.st_uid, status.st_gid)
        return self._header(name, 0, tarfile.DIRTYPE, status.st_mode, status.st_mtime, owner=owner)

    def _put(self, data: bytes, stored: bool) -> None:
        wanted = self._stored if stored else self._packed
        if wanted is not self._current:
            self._current.flush()
            self._current = wanted
        wanted.write(data)

    def _pad(self, size: int, stored: bool) -> None:
        if size % BLOCK:
            self._put(b"\0" * (BLOCK - size % BLOCK), stored)

    @contextmanager
    def stream(self, name: str) -> Iterator[Callable[[bytes], Any]]:
        """A file of unknown size: gives the function to write its content with. Stored, not compressed."""
        self._current.flush()
        self._current = self._stored
        position = self._handle.tell()
        self._write(stored_member(self._header(name, 0, tarfile.REGTYPE, 0o600, self._mtime)))
        size = 0

        def write(data: bytes) -> int:
            nonlocal size
            size += len(data)
            self._stored.write(data)
            return len(data)

        yield write
        self._pad(size, True)
        self._stored.flush()
        end = self._handle.tell()
        self._handle.seek(position)
        self._handle.write(stored_member(self._header(name, size, tarfile.REGTYPE, 0o600, self._mtime)))
        self._handle.seek(end)

    def add_bytes(
        self,
        name: str,
        data: bytes,
        mode: int = 0o600,
        mtime: Optional[float] = None,
        owner: Owner = NOBODY_IN_PARTICULAR,
    ) -> None:
        stored = _is_compressed(name)
        moment = self._mtime if mtime is None else mtime
        self._put(self._header(name, len(data), tarfile.REGTYPE, mode, moment, owner=owner), stored)
        self._put(data, stored)
        self._pad(len(data), stored)

    def add_manifest(self, manifest: Manifest) -> None:
        self.add_bytes(MANIFEST_NAME, manifest.to_json())

    def add_path(self, name: str, path: str) -> Component:
        """A file, or a directory with everything below it, under a name of its own.

        Symbolic links below the directory are kept as links; sockets, pipes and devices are left out and noted. A file
        that vanishes while the directory is read is noted, one that shrinks meanwhile is an error.

        Raises:
            MaintenanceError: something cannot be read.
        """
        component = Component(name, source=path)
        try:
            # Pipes and devices would keep the opener waiting.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                status = os.fstat(descriptor)
                if stat.S_ISDIR(status.st_mode):
                    self._put(self._directory_header(name, status), False)
                    self._add_tree(component, descriptor, path, "")
                elif stat.S_ISREG(status.st_mode):
                    component.kind = "file"
                    self._add_file(component, descriptor, "", name)
                else:
                    raise MaintenanceError(
                        "neither a file nor a directory", target=path, next_step="Correct the path of %s." % name
                    )
            finally:
                os.close(descriptor)
        except OSError as error:
            raise read_error(error, path) from error
        return component

    def _add_tree(self, component: Component, directory: int, path: str, relative: str) -> None:
        """Everything below an open directory.

        Each step goes from an open directory to a name in it and follows no link: whoever may write to the directory cannot
        have something outside it read by swapping names.
        """
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            inside = relative + "/" + _utf8(name) if relative else _utf8(name)
            try:
                self._add_entry(component, directory, name, path + "/" + name, inside)
            except FileNotFoundError:
                self.notes.append("%s/%s: vanished while the directory was read" % (path, name))
            except OSError as error:
                raise read_error(error, path + "/" + name) from error

    def _add_entry(self, component: Component, directory: int, name: str, path: str, inside: str) -> None:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        target = component.name + "/" + inside
        if stat.S_ISLNK(status.st_mode):
            link = _utf8(os.readlink(name, dir_fd=directory))
            owner = (status.st_uid, status.st_gid)
            self._put(self._header(target, 0, tarfile.SYMTYPE, 0o777, status.st_mtime, link, owner), False)
            component.add(inside, 0, "link:" + link)
            return
        if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
            self.notes.append("%s: left out, neither file nor directory nor link" % path)
            return
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        descriptor = os.open(name, flags, dir_fd=directory)
        try:
            # What was opened decides, not what stood there before.
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                self._put(self._directory_header(target, status), False)
                component.add(inside, 0, "dir")
                self._add_tree(component, descriptor, path, inside)
            elif stat.S_ISREG(status.st_mode):
                self._add_file(component, descriptor, inside, target)
            else:
                self.notes.append("%s: left out, neither file nor directory nor link" % path)
        finally:
            os.close(descriptor)

    def _add_file(self, component: Component, descriptor: int, inside: str, name: str) -> None:
        with os.fdopen(descriptor, "rb", 0, closefd=False) as source:
            status = os.fstat(descriptor)
            owner = (status.st_uid, status.st_gid)
            self.add_stream(component, inside, name, source, status.st_size, status.st_mode, status.st_mtime, owner)

    def add_stream(
        self,
        component: Component,
        inside: str,
        name: str,
        source: Any,
        size: int,
        mode: int,
        mtime: float,
        owner: Owner = NOBODY_IN_PARTICULAR,
    ) -> None:
        """One file of a component from anything with read(n)."""
        stored = _is_compressed(name)
        digest = hashlib.sha256()
        if size <= SMALL_FILE_BYTES:
            data = _read_up_to(source, SMALL_FILE_BYTES + 1)
            if len(data) <= SMALL_FILE_BYTES:
                digest.update(data)
                self.add_bytes(name, data, mode, mtime, owner)
                component.add_file(inside, len(data), digest.hexdigest())
                return
            # It has grown past what is read whole: the part beyond the size below is a later state and left out.
            data = data[:size]
        else:
            data = b""
        self._put(self._header(name, size, tarfile.REGTYPE, mode, mtime, owner=owner), stored)
        left = size
        while left:
            data = data or source.read(min(COPY_BYTES, left))
            if not data:
                raise MaintenanceError(
                    "the file became shorter while it was read",
                    target=name,
                    next_step="Something rewrites it in place: run again.",
                )
            digest.update(data)
            self._put(data, stored)
            left -= len(data)
            data = b""
        self._pad(size, stored)
        component.add_file(inside, size, digest.hexdigest())

    def add_tar(self, name: str, chunks: Any, source: str) -> Component:
        """A directory or file given as a tar stream (as a container engine sends it), under a name of its own.

        Args:
            chunks: iterable of the tar's bytes, its first entry being the directory or file itself.
        """
        component = Component(name, source=source)
        top: Optional[str] = None
        with open_forward(_ChunkReader(chunks)) as tar:
            for info in tar:
                tar.members = []  # else tarfile keeps every entry in memory
                if top is None and not (info.isdir() or info.isreg()):
                    raise MaintenanceError(
                        "what is to be backed up is neither a file nor a directory in the container",
                        target=source,
                        next_step="Correct the path of %s; where it is a link, give the path that it leads to." % name,
                    )
                path = info.name.strip("/")
                if top is None:
                    top = path
                    inside = ""
                elif not path.startswith(top + "/"):
                    raise MaintenanceError("unexpected entry in the container's copy", target=info.name)
                else:
                    inside = path[len(top) + 1 :]
                target = name + "/" + inside if inside else name
                owner = (info.uid, info.gid)
                if info.isdir():
                    self._put(self._header(target, 0, tarfile.DIRTYPE, info.mode, info.mtime, owner=owner), False)
                    if inside:
                        component.add(inside, 0, "dir")
                elif info.issym():
                    self._put(self._header(target, 0, tarfile.SYMTYPE, 0o777, info.mtime, info.linkname, owner), False)
                    component.add(inside, 0, "link:" + info.linkname)
                elif info.islnk():
                    # A second name of a file that was sent before: it is its first name that holds the content.
                    first = info.linkname.strip("/")
                    if not first.startswith(top + "/"):
                        raise MaintenanceError("a hard link in the container's copy leads out of it", target=info.name)
                    first = first[len(top) + 1 :]
                    link = "%s/%s/%s" % (self._directory, name, first)
                    self._put(self._header(target, 0, tarfile.LNKTYPE, info.mode, info.mtime, link, owner), False)
                    component.add(inside, 0, "same:" + first)
                elif info.isreg():
                    if not inside:
                        component.kind = "file"
                    content = content_of(tar, info)
                    self.add_stream(component, inside, target, content, info.size, info.mode, info.mtime, owner)
                else:
                    self.notes.append("%s/%s: left out, neither file nor directory nor link" % (source, inside))
            if not has_end(tar):
                raise MaintenanceError(
                    "the container's copy ends early", target=source, next_step="Is the engine in trouble? Run again."
                )
        return component

    def close(self) -> None:
        """Write the end of the tar."""
        self._put(b"\0" * (2 * BLOCK), False)
        self._current.flush()

    def release(self) -> None:
        """End the threads, whether or not all went well."""
        self._stored.close()
        self._packed.close()


def begins_with_file(chunks: Any) -> bool:
    """Whether a tar stream holds a regular file; reads no further than to the first."""
    with open_forward(_ChunkReader(chunks)) as tar:
        for info in tar:
            if info.isreg():
                return True
            tar.members = []  # else tarfile keeps every entry in memory
    return False


class _ChunkReader(io.RawIOBase):
    """read(n) over an iterable of bytes."""

    def __init__(self, chunks: Any) -> None:
        super().__init__()
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        if size < 0:
            size = len(self._rest)
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _read_up_to(source: Any, limit: int) -> bytes:
    pieces, size = [], 0
    while size < limit:
        piece = source.read(min(COPY_BYTES, limit - size))
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _utf8(name: str) -> str:
    """A name from a directory with the bytes that it has there read as UTF-8, whatever the locale read them as."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def _is_compressed(name: str) -> bool:
    return name.rpartition(".")[2].lower() in _COMPRESSED


def read_error(error: OSError, path: str) -> MaintenanceError:
    """An error while a component is read; an error of the destination is passed through as it is."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG) and not error.filename:
        raise error
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return from_os_error(
            "what is to be backed up was replaced while it was read",
            error,
            target=path,
            next_step="Something rewrites it: run again.",
        )
    return from_os_error(
        "cannot read what is to be backed up",
        error,
        target=path,
        next_step="Run as its owner or as root (become: true).",
    )


@dataclass
class ReadBack:
    """What a backup turned out to hold when it was read.

    Attributes:
        directory: the directory that everything stands in.
        dump: what the function for the database dump returned; None when there is no dump.
        components: counted by name.
        manifest: ours, or None.
        entries: how many tar entries.
    """

    directory: str = ""
    dump: Any = None
    has_dump: bool = False
    components: Dict[str, Component] = field(default_factory=dict)
    manifest: Optional[Manifest] = None
    entries: int = 0

    def found_components(self) -> Mapping[str, FoundCollection]:
        return {name: component.found() for name, component in self.components.items()}


def read_backup(stream: Any, name: str, read_dump: Callable[[Any], Any], sink: Optional[Sink] = None) -> ReadBack:
    """Read a backup from its first byte to its last; nothing is written anywhere but by the sink.

    Args:
        stream: the file's bytes.
        name: for messages.
        read_dump: called with a stream of the uncompressed database dump; what it leaves unread is passed over.
        sink: takes the parts that it wants.

    Raises:
        DamagedBackup: damaged, cut off, or not a backup.
        MaintenanceError: from read_dump.
    """
    found = ReadBack()
    unpacked = GzipReader(stream, name)
    doubt = Doubt()
    try:
        _read_entries(found, unpacked, doubt, name, read_dump, sink)
    except DamagedBackup as error:
        raise error.at("damaged is %s" % doubt.text(unpacked.proven)) from error
    return found


def _read_entries(
    found: ReadBack,
    unpacked: GzipReader,
    doubt: Doubt,
    name: str,
    read_dump: Callable[[Any], Any],
    sink: Optional[Sink],
) -> None:
    try:
        with open_forward(unpacked) as tar:
            for info in tar:
                tar.members = []
                found.entries += 1
                doubt.begin(info.name, info.offset_data + -(-info.size // BLOCK) * BLOCK, unpacked.proven)
                _read_entry(found, tar, info, name, read_dump, sink)
            # Cut off between two entries it is still a row of whole ones.
            complete = has_end(tar)
            if sink is not None:
                sink.finish()
            # To the very end: the gzip trailer of the last member is checked only there.
            followed = False
            for rest in iter(lambda: tar.fileobj.read(COPY_BYTES), b""):
                followed = followed or rest.count(0) < len(rest)
    # RecursionError: one long name for another for another.
    except (tarfile.TarError, EOFError, RecursionError) as error:
        raise DamagedBackup(
            "this is not a whole tar archive (%s)" % error,
            target=name,
            next_step=TAKE_ANOTHER,
        ) from error
    if not found.entries:
        raise DamagedBackup(
            "the archive is empty",
            target=name,
            next_step=TAKE_ANOTHER,
        )
    if not complete:
        raise DamagedBackup(
            "the archive is cut off: it has no end",
            target=name,
            next_step=TAKE_ANOTHER,
        )
    if followed:
        raise DamagedBackup(
            "something stands behind the end of the archive, such as a second one",
            target=name,
            next_step="Cut it off, or restore from another one: only what stands before it would be restored.",
        )


def _read_entry(
    found: ReadBack,
    tar: tarfile.TarFile,
    info: tarfile.TarInfo,
    name: str,
    read_dump: Callable[[Any], Any],
    sink: Optional[Sink],
) -> None:
    directory, component_name, inside = _split(info.name)
    found.directory = found.directory or directory
    if directory != found.directory:
        raise DamagedBackup(
            "the archive holds more than one directory", target=name, next_step="This is not a backup of the shop."
        )
    if not component_name:
        return
    if component_name in (DUMP_NAME, PLAIN_DUMP_NAME) and not inside:
        if found.has_dump:
            raise DamagedBackup(
                "the archive holds two dumps", target=name, next_step="This is not a backup of the shop."
            )
        found.has_dump = True
        found.dump = read_dump(
            unpacked_dump(content_of(tar, info), "%s in %s" % (component_name, name), component_name == DUMP_NAME)
        )
        return
    if component_name == MANIFEST_NAME and not inside:
        source = content_of(tar, info)
        data = _read_up_to(source, MAX_BYTES)
        found.manifest = parse_manifest(data)
        return
    component = found.components.setdefault(component_name, Component(component_name))
    if len(found.components) > MAX_COMPONENTS:
        raise DamagedBackup(
            "the archive holds more than %d things side by side" % MAX_COMPONENTS,
            target=name,
            next_step="This is not a backup of the shop.",
        )
    taken = sink if sink is not None and sink.wants(component_name) else None
    if info.isdir():
        if inside:
            component.add(inside, 0, "dir")
        if taken is not None:
            taken.directory(component_name, inside, info)
    elif info.issym():
        component.add(inside, 0, "link:" + info.linkname)
        if taken is not None:
            taken.link(component_name, inside, info)
    elif info.islnk():
        first = _split(info.linkname)[2]
        component.add(inside, 0, "same:" + first)
        if taken is not None:
            taken.same(component_name, inside, first)
    elif info.isreg():
        if not inside:
            component.kind = "file"
        digest = hashlib.sha256()
        source = content_of(tar, info)
        if taken is not None:
            unpack_entry(taken, component_name, inside, info, source, digest.update)
        while True:
            data = source.read(COPY_BYTES)
            if not data:
                break
            digest.update(data)
        component.add_file(inside, info.size, digest.hexdigest())


def unpacked_dump(stream: Any, name: str, packed: bool) -> Any:
    """A dump as it was before gzip, if it was packed at all: its first bytes tell, and where they do not, its name.

    Args:
        packed: whether it is packed by its name.
    """
    head = _read_up_to(stream, len(ARCHIVE_MAGIC))
    whole = Reread(head, stream)
    if head == ARCHIVE_MAGIC or not (packed or head.startswith(GZIP_MAGIC)):
        return whole
    return MembersReader(whole, name)


def _split(path: str) -> Tuple[str, str, str]:
    parts = path.strip("/").split("/", 2)
    if parts and parts[0] == ".":  # tar czf X.tar.gz ./FOLDER
        parts = path.strip("/").split("/", 3)[1:]
    parts += [""] * (3 - len(parts))
    return parts[0], parts[1], parts[2]
