"""Folders that a store is in: local ones, and anything that fsspec reaches.

A file is there whole or not at all: locally it is written aside, synced and renamed; an object store shows an
object when its upload is complete.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple, cast

import fsspec
import pyarrow as pa

from ncore.errors import NcoreError, StoreError
from ncore.store.damage import DamagedFileError

__all__ = ["Entry", "Folder", "LocalFolder", "RemoteFolder", "folder_at", "printable"]

_READ_ONLY = {"http", "https", "zip", "tar"}
_SPECIAL = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
# A pipe that nobody writes to would be waited for, and a link leads elsewhere.
_CAREFUL = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Entry(NamedTuple):
    """What a folder holds: a file, or (``size`` None) a folder; ``special`` says what is neither, such as a link."""

    name: str
    size: int | None
    special: str = ""


class Folder(ABC):
    """Files by their path below ``url``, parts separated by ``/``.

    Every method raises FileNotFoundError for what is not there, and StoreError for what cannot be done.
    """

    url: str
    local = False
    writable = True

    @abstractmethod
    def read(self, path: str, most: int | None = None) -> bytes:
        """The whole file; one of more than ``most`` bytes is damage, and not read where its size is known before."""

    @abstractmethod
    def open(self, path: str) -> BinaryIO:
        """A file to read pieces of."""

    @abstractmethod
    def writing(self, path: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """A file to write; it appears, whole, when the block ends without an exception."""

    @abstractmethod
    def entries(self, path: str = "") -> list[Entry]:
        """What is in a folder, in order of name."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Delete a file; it may be gone already."""

    @abstractmethod
    def remove_folder(self, path: str) -> None:
        """Delete a folder and all in it; it may be gone already."""

    @abstractmethod
    def stamp(self, path: str) -> Hashable | None:
        """Something that changes whenever the file does; None where that costs as much as reading it."""

    @abstractmethod
    def child(self, name: str) -> Folder:
        """A folder inside this one."""

    def make(self) -> None:
        """Make the folder, where folders have to be made."""
        self._check_writable()

    def write(self, path: str, data: Any) -> None:
        """Put a file (anything with the buffer interface) in place, or replace it."""
        with self.writing(path) as file:
            file.write(data)

    def _check_size(self, path: str, size: int, most: int | None) -> None:
        if most is not None and size > most:
            raise DamagedFileError(
                self.name_of(path), "corrupt", f"it has {size} bytes, but at most {most} are expected"
            )

    def _check_writable(self) -> None:
        if not self.writable:
            raise StoreError(f"{self.url} can only be read: record into a local folder or an object store.")

    def name_of(self, path: str) -> str:
        """Path or URL of a file, for messages: names that are no UTF-8 are escaped, as no screen can show them."""
        return printable(f"{self.url}/{path}" if path else self.url)


class LocalFolder(Folder):
    """A folder of this machine. No link below it is followed, so that nothing leads out of it."""

    local = True

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.fspath(root)
        self.url = self.root

    def path(self, path: str) -> str:
        """The operating system's path of a file."""
        current = self.root
        for part in path.split("/") if path else ():
            current = os.path.join(current, part)
            if os.path.islink(current):
                raise StoreError(f"{current} is a symbolic link, but links inside a store are not followed.")
        return current

    def read(self, path: str, most: int | None = None) -> bytes:
        with _explained("read", self.name_of(path)), self._opened(path) as file:
            self._check_size(path, os.fstat(file.fileno()).st_size, most)
            return file.read()

    def open(self, path: str) -> BinaryIO:
        with _explained("read", self.name_of(path)):
            self._opened(path).close()
            return cast("BinaryIO", pa.OSFile(self.path(path)))  # read by Arrow without taking the GIL

    def _opened(self, path: str) -> BinaryIO:
        handle = os.open(self.path(path), os.O_RDONLY | _CAREFUL)
        if kind := _special(os.fstat(handle).st_mode):
            os.close(handle)
            raise StoreError(f"{self.name_of(path)} is {kind}, but a file is expected: move it away.")
        return os.fdopen(handle, "rb")

    @contextlib.contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        with _explained("written", self.name_of(path)):
            target = self.path(path)
            parent, name = os.path.split(target)
            if "/" in path and not os.path.isdir(parent):
                os.mkdir(parent)
                _sync_folder(os.path.dirname(parent))
            # A name that nobody can know beforehand: whatever waits under one, such as a link, is not written to.
            aside = os.path.join(parent, f".{name}.{os.urandom(8).hex()}.tmp")
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFUL, 0o666)
            try:
                with os.fdopen(handle, "wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(aside, target)
            except Exception:  # anything else means to stop at once; the next writer clears it away
                with contextlib.suppress(OSError):
                    os.unlink(aside)
                raise
            _sync_folder(parent)

    def entries(self, path: str = "") -> list[Entry]:
        with _explained("listed", self.name_of(path)), os.scandir(self.path(path)) as found:
            return sorted(_entry(item) for item in found)

    def remove(self, path: str) -> None:
        with _explained("deleted", self.name_of(path)), contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(path))

    def remove_folder(self, path: str) -> None:
        with _explained("deleted", self.name_of(path)), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path(path))

    def stamp(self, path: str) -> Hashable | None:
        with _explained("read", self.name_of(path)):
            found = os.stat(self.path(path))
            return found.st_ino, found.st_mtime_ns, found.st_size

    def child(self, name: str) -> LocalFolder:
        return LocalFolder(self.path(name))

    def make(self) -> None:
        with _explained("made", self.url):
            os.makedirs(self.root, exist_ok=True)
            _sync_folder(os.path.dirname(os.path.abspath(self.root)))

    def rename(self, path: str, to: str) -> None:
        """Give a folder another name."""
        with _explained("renamed", self.name_of(path)):
            os.rename(self.path(path), self.path(to))


class RemoteFolder(Folder):
    """A folder, or a prefix, of an fsspec file system."""

    def __init__(self, fs: fsspec.AbstractFileSystem, root: str, url: str) -> None:
        self._fs, self._root, self.url = fs, root.rstrip("/"), url.rstrip("/")
        self.writable = not _protocols(fs) & _READ_ONLY

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def read(self, path: str, most: int | None = None) -> bytes:
        with _explained("read", self.name_of(path)):
            data = cast("bytes", self._fs.cat_file(self._path(path)))
            self._check_size(path, len(data), most)
            return data

    def open(self, path: str) -> BinaryIO:
        with _explained("read", self.name_of(path)):
            return cast("BinaryIO", self._fs.open(self._path(path), "rb"))

    @contextlib.contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        self._check_writable()
        # Collected here first: a stream that breaks off could leave half an object behind.
        with _explained("written", self.name_of(path)), tempfile.TemporaryDirectory() as aside:
            whole = os.path.join(aside, "file")
            with open(whole, "wb") as file:
                yield file
            self._fs.put_file(whole, self._path(path))

    def write(self, path: str, data: Any) -> None:
        self._check_writable()
        with _explained("written", self.name_of(path)):
            self._fs.pipe_file(self._path(path), bytes(data))

    def entries(self, path: str = "") -> list[Entry]:
        folder = self._path(path)
        with _explained("listed", self.name_of(path)):
            self._fs.invalidate_cache()
            found = []
            for item in self._fs.ls(folder, detail=True):
                name = item["name"].rstrip("/").rsplit("/", 1)[-1]
                if item["name"].rstrip("/") != folder.rstrip("/") and name:
                    found.append(Entry(name, None if item["type"] == "directory" else item["size"] or 0))
            return sorted(found)

    def remove(self, path: str) -> None:
        self._check_writable()
        with _explained("deleted", self.name_of(path)), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(path))

    def remove_folder(self, path: str) -> None:
        self._check_writable()
        with _explained("deleted", self.name_of(path)), contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._path(path), recursive=True)

    def stamp(self, path: str) -> Hashable | None:
        return None

    def child(self, name: str) -> RemoteFolder:
        return RemoteFolder(self._fs, self._path(name), self.name_of(name))


def folder_at(place: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> Folder:
    """The folder that a path or an fsspec URL names.

    Args:
        place: Path, or URL of any kind that fsspec knows.
        options: Of the file system (credentials, ``client_kwargs``, ...).
    """
    url = os.fspath(place)
    if "://" not in url and "::" not in url:
        return LocalFolder(os.path.expanduser(url))
    with _explained("opened", url):
        fs, root = fsspec.core.url_to_fs(url, **dict(options or {}))
    if "file" in _protocols(fs):
        return LocalFolder(root)
    return RemoteFolder(fs, root, url)


def printable(name: str) -> str:
    """A name from a file system, as text that can be shown and sent: bytes that are no UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def _protocols(fs: fsspec.AbstractFileSystem) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)


@contextlib.contextmanager
def _explained(action: str, name: str) -> Iterator[None]:
    """One kind of error for all that file systems raise, except for what is not there."""
    try:
        yield
    except (FileNotFoundError, NcoreError):
        raise
    except ImportError as error:
        raise StoreError(f"{name} could not be {action}: {error}") from error
    except Exception as error:  # remote file systems raise what their client libraries do
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StoreError(f"{name} could not be {action}: {why or type(error).__name__}.") from error


def _entry(item: os.DirEntry[str]) -> Entry:
    if item.is_dir(follow_symlinks=False):
        return Entry(item.name, None)
    try:
        found = item.stat(follow_symlinks=False)
    except FileNotFoundError:
        return Entry(item.name, 0)
    return Entry(item.name, found.st_size, _special(found.st_mode))


def _special(mode: int) -> str:
    """What it is that is no file; empty for a file."""
    return "" if stat.S_ISREG(mode) else _SPECIAL.get(stat.S_IFMT(mode), "something else")


def _sync_folder(path: str) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # one that may be written into, but not listed
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that keep folders by themselves
            raise
    finally:
        os.close(handle)
