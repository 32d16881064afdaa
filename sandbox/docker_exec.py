"""One process in a container, through the engine's exec call and its two-way stream."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, cast

from rnj_agent.sandbox.errors import SandboxLostError
from rnj_agent.sandbox.process import CHUNK_BYTES, Chunk

if TYPE_CHECKING:
    from docker import APIClient
    from docker.models.containers import Container
    from requests import Response

_STDERR = 2
_FRAME = struct.Struct(">BxxxL")
"""Before each piece of output: its stream and its length.

https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
"""
_KILL_ALL = "for ((i = 0; i < 100; i++)); do kill -KILL -1 2>/dev/null || exit 0; sleep 0.02; done"
_KILL_ATTEMPTS = 3


class DockerExec:
    """Implements ``Process``.

    Args:
        container: where.
        user: ``uid:gid``; every process of that user in there is taken to belong to this one.
        argv: the command line.

    Raises:
        SandboxLostError: the container or the engine is gone.
    """

    def __init__(self, container: Container, user: str, argv: Sequence[str]) -> None:
        self._container = container
        self._user = user
        assert container.client is not None
        self._api: APIClient = container.client.api
        with engine_errors():
            self._exec_id = self._api.exec_create(
                container.id, list(argv), stdin=True, user=user, workdir="/"
            )["Id"]
            stream = cast("socket.SocketIO", self._api.exec_start(self._exec_id, socket=True))
            self._socket = socket.socket(fileno=os.dup(stream.fileno()))
            self._response: Response = vars(stream)["_response"]  # it owns the connection
        self._socket.setblocking(True)
        self._buffer = bytearray()
        self._stream = 0
        self._num_left = 0

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def close_stdin(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def read(self) -> Chunk | None:
        while True:
            if self._num_left and self._buffer:
                data = bytes(self._buffer[: self._num_left])
                del self._buffer[: len(data)]
                self._num_left -= len(data)
                return Chunk(data, self._stream == _STDERR)
            if len(self._buffer) >= _FRAME.size:
                self._stream, self._num_left = _FRAME.unpack_from(self._buffer)
                del self._buffer[: _FRAME.size]
            elif not self._receive():
                return None

    def wait(self) -> int:
        with engine_errors():
            status = self._api.exec_inspect(self._exec_id)["ExitCode"]
        return 137 if status is None else int(status)

    def close(self) -> None:
        self._socket.close()
        self._response.close()

    def is_over(self) -> bool:
        """Whether its end has been told already, without waiting for it."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        try:
            return bool(poll.poll(0)) and self._socket.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def kill(self) -> None:
        """Kill everything of this user in the container.

        That takes a new process in there. Where the pids limit leaves no room for one, the
        container is restarted, which empties only its tmpfs.
        """
        with engine_errors():
            if not any(self._kill_all() for _ in range(_KILL_ATTEMPTS)):
                self._container.restart(timeout=0)

    def _kill_all(self) -> bool:
        from docker.errors import APIError

        try:
            run = self._container.exec_run(["bash", "-c", _KILL_ALL], user=self._user)
        except APIError:
            return False
        return run.exit_code == 0

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(CHUNK_BYTES)
        except OSError:
            return False
        self._buffer += data
        return bool(data)


@contextlib.contextmanager
def engine_errors() -> Generator[None]:
    """Turn what the docker package raises into SandboxLostError."""
    import requests
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, requests.RequestException, OSError) as exc:
        reason = getattr(exc, "explanation", None) or exc
        raise SandboxLostError(f"the container is gone: {reason}") from exc
