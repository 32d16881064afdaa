"""An HTTP server that plays prepared replies on a loopback port: for tests and benchmarks.

It stands where an OpenAI-compatible server would, on a real socket, and can do what such servers do
on bad days: refuse, stall, send garbage, hang up in the middle of a reply.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

_JSON_TYPE: Final = "application/json"
_SSE_TYPE: Final = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedReply:
    status: int = 200
    parts: Sequence[bytes | float] = ()
    """Pieces of the body, and pauses in seconds between them."""
    content_type: str = _JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hangs_up: bool = False
    """Close the connection after the parts, without the end of the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


def json_reply(value: object, *, status: int = 200, **headers: str) -> ScriptedReply:
    """A reply with a JSON body; ``retry_after="2"`` becomes the header ``retry-after``."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return ScriptedReply(status=status, parts=(json.dumps(value).encode(),), headers=named)


def error_reply(status: int, message: str, **headers: str) -> ScriptedReply:
    return json_reply({"error": {"message": message}}, status=status, **headers)


def sse(event: object) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


SSE_END: Final = b"data: [DONE]\n\n"


def delta_event(finish_reason: str | None = None, **delta: object) -> bytes:
    """One streamed piece of a chat completion."""
    return sse({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})


def usage_event(prompt: int, completion: int, *, cached: int = 0) -> bytes:
    details = {"cached_tokens": cached}
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    return sse({"choices": [], "usage": usage | {"prompt_tokens_details": details}})


def stream_reply(*parts: bytes | float, hangs_up: bool = False) -> ScriptedReply:
    return ScriptedReply(parts=parts, content_type=_SSE_TYPE, hangs_up=hangs_up)


def text_reply(text: str, *, finish_reason: str = "stop") -> ScriptedReply:
    """A whole streamed answer, word by word, with its usage."""
    words = text.split(" ")
    pieces = [delta_event(content=word + " ") for word in words[:-1]]
    pieces += [delta_event(content=words[-1]), delta_event(finish_reason)]
    return stream_reply(*pieces, usage_event(10, len(words)), SSE_END)


class ScriptedServer:
    """Plays each path's replies in order and then repeats the last; other paths are 404."""

    def __init__(self, replies: Mapping[str, ScriptedReply | Sequence[ScriptedReply]]) -> None:
        self._replies = {
            path: [reply] if isinstance(reply, ScriptedReply) else list(reply)
            for path, reply in replies.items()
        }
        self.requests: list[ReceivedRequest] = []
        self.client_left = asyncio.Event()
        """Set when a client closes its connection before the end of a reply."""
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def root_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def base_url(self) -> str:
        return self.root_url + "/v1"

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was sent to a path, in order."""
        return [request.body for request in self.requests if request.path == path]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read_request(reader)
            self.requests.append(request)
            await self._play(self._next_reply(request.path), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.client_left.set()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _next_reply(self, path: str) -> ScriptedReply:
        replies = self._replies.get(path)
        if not replies:
            return error_reply(404, f"no such path: {path}")
        return replies.pop(0) if len(replies) > 1 else replies[0]

    async def _play(
        self, reply: ScriptedReply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = [f"HTTP/1.1 {reply.status} Scripted", f"content-type: {reply.content_type}"]
        head += ["connection: close", "transfer-encoding: chunked"]
        head += [f"{name}: {value}" for name, value in reply.headers.items()]
        writer.write("\r\n".join([*head, "", ""]).encode())
        for part in reply.parts:
            if isinstance(part, bytes):
                writer.write(b"%x\r\n%s\r\n" % (len(part), part))
                await writer.drain()
            elif await _client_leaves(reader, within_s=part):
                self.client_left.set()
                return
        if not reply.hangs_up:
            writer.write(b"0\r\n\r\n")
            await writer.drain()


async def _read_request(reader: asyncio.StreamReader) -> ReceivedRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return ReceivedRequest(
        method=method, path=path, headers=headers, body=json.loads(body) if body else {}
    )


async def _client_leaves(reader: asyncio.StreamReader, *, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await reader.read(1) == b""
    except TimeoutError:
        return False
