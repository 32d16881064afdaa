"""The socket that the server listens on: TCP, or a Unix socket that only its owner can open."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Generator
from pathlib import Path

from rnj_agent.runtime.errors import EngineError

BACKLOG = 128


@contextlib.contextmanager
def listening_on_port(host: str, port: int) -> Generator[socket.socket, None, None]:
    """Bind a TCP port until the block is left.

    Raises:
        EngineError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio switches Nagle's algorithm off for what it accepts: otherwise
    # each token of a stream waits 40 ms for the acknowledgement of the one before.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as exc:
            raise EngineError(
                f"Cannot serve on {host}:{port}: {exc.strerror or exc}.", hint=_hint(exc)
            ) from exc
        yield listener


@contextlib.contextmanager
def listening_on_path(path: Path) -> Generator[socket.socket, None, None]:
    """Bind a Unix socket with mode 0600 until the block is left; then remove it.

    Raises:
        EngineError: something else is there, another server listens, or the path cannot be.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            _remove_dead_socket(path)
            _bind_for_owner(listener, path)
            listener.listen(BACKLOG)
        except OSError as exc:
            raise EngineError(
                f"Cannot serve on {path}: {exc.strerror or exc}.",
                hint="choose another path with --uds, shorter than 100 characters",
            ) from exc
        own = path.stat().st_ino
        try:
            yield listener
        finally:
            _remove_socket(path, inode=own)


def _bind_for_owner(listener: socket.socket, path: Path) -> None:
    """From its first moment on nobody else can open it."""
    former = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(former)


def _remove_socket(path: Path, *, inode: int) -> None:
    """Another server may have taken its place."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_ino == inode:
            path.unlink()


def _remove_dead_socket(path: Path) -> None:
    """What a killed server left; never a file, never the socket of a server that lives."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(errno.EEXIST, "a file that is no socket is there")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
                return
        raise OSError(errno.EADDRINUSE, "another server listens there")


def _hint(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "give an address of this machine: --host 127.0.0.1"
    return "choose another port with --port, or --port 0 for any free one"
