"""Clients of every kind, a third of which hang up at a random moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterable, Callable, Mapping
from types import MappingProxyType
from typing import Any

import httpx

DISCONNECT_SHARE = 1 / 3
MAX_PATIENCE_S = 6.0
"""Before a client that hangs up does so: some before the first token, some after."""
MAX_REPLY_TOKENS = 96
_TIMEOUT_S = 600.0
_WORDS = ("cache", "block", "prefix", "token", "sum", "list", "order", "test", "file", "error")
_BASH = {
    "type": "function",
    "function": {
        "name": "bash",
        "description": "Run a command.",
        "parameters": {
            "type": "object",
            "properties": {"command": {"type": "string", "maxLength": 40}},
            "required": ["command"],
        },
    },
}
_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}

Body = dict[str, Any]


class Soak:
    """Clients that run until they are told to stop.

    Attributes:
        outcomes: how often each came: "chat 200", "garbage 400", "chat disconnected".
        failures: what must not happen, in words.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], model: str, seed: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.failures: list[str] = []
        self._base_url = base_url
        self._headers = {**headers, "Content-Type": "application/json"}
        self._model = model
        self._random = random.Random(seed)
        self._stopping = asyncio.Event()

    async def run(self, num_clients: int, duration_s: float) -> None:
        """Half of the clients keep their connections, the others open one for each request."""
        async with asyncio.TaskGroup() as group:
            for number in range(num_clients):
                group.create_task(self._client(keeps_connection=number % 2 == 0))
            await asyncio.sleep(duration_s)
            self._stopping.set()

    async def once_each(self) -> None:
        """Every kind of request once, to its end."""
        async with self._connection() as connection:
            for kind in KINDS:
                await self._request(connection, kind)

    def _connection(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._base_url, headers=self._headers, trust_env=False, timeout=_TIMEOUT_S
        )

    async def _client(self, *, keeps_connection: bool) -> None:
        while not self._stopping.is_set():
            num_requests = self._random.randint(2, 20) if keeps_connection else 1
            async with self._connection() as connection:
                await self._requests(connection, num_requests)

    async def _requests(self, connection: httpx.AsyncClient, num_requests: int) -> None:
        for _ in range(num_requests):
            if self._stopping.is_set():
                return
            await self._request_or_hang_up(connection)

    async def _request_or_hang_up(self, connection: httpx.AsyncClient) -> None:
        kind = self._random.choice(tuple(KINDS))
        if self._random.random() > DISCONNECT_SHARE:
            await self._request(connection, kind)
            return
        patience_s = MAX_PATIENCE_S * self._random.random() ** 2
        try:
            async with asyncio.timeout(patience_s):
                await self._request(connection, kind)
        except TimeoutError:
            self.outcomes[f"{kind} disconnected"] += 1

    async def _request(self, connection: httpx.AsyncClient, kind: str) -> None:
        path, content = KINDS[kind](self._random, self._model)
        try:
            async with connection.stream("POST", path, content=content) as response:
                text = await _read(response.aiter_bytes())
        except httpx.HTTPError as exc:
            self.failures.append(f"{kind}: {exc!r}")
            return
        self.outcomes[f"{kind} {response.status_code}"] += 1
        if problem := _problem(kind, response.status_code, text):
            self.failures.append(f"{kind}: {problem}")


async def _read(chunks: AsyncIterable[bytes]) -> str:
    return b"".join([chunk async for chunk in chunks]).decode(errors="replace")


def _problem(kind: str, status: int, text: str) -> str:
    """What is wrong with this answer; empty if nothing is."""
    if status == 503:  # the queue is full, which this many clients may manage
        return "" if "error" in text else f"503 without an error: {text[:200]}"
    if kind.startswith("garbage"):
        return "" if 400 <= status < 500 and "error" in text else f"{status}: {text[:200]}"
    if status != 200:
        return f"{status}: {text[:200]}"
    if kind.endswith("stream") and "data: [DONE]" not in text:
        return f"the stream has no end: {text[-200:]}"
    if kind == "json_schema":
        return _json_problem(text)
    return ""


def _json_problem(text: str) -> str:
    choice = json.loads(text)["choices"][0]
    if choice["finish_reason"] != "stop":
        return ""  # cut off by max_tokens
    with contextlib.suppress(ValueError):
        if set(json.loads(choice["message"]["content"])) == {"name", "age"}:
            return ""
    return f"not of the schema: {choice['message']['content'][:200]}"


def _chat(rng: random.Random, model: str, **fields: object) -> bytes:
    """One of a few conversations, so that prefixes meet in the cache, with a tail of its own."""
    question = " ".join(rng.choices(_WORDS, k=rng.randint(3, 60)))
    system = f"You are assistant {rng.randrange(3)}. " + "Answer in short sentences. " * 20
    body: Body = {
        "model": model,
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": f"Say something about: {question}"},
        ],
        "max_tokens": rng.randint(1, MAX_REPLY_TOKENS),
        "temperature": rng.choice([0.0, 0.7, 1.2]),
    }
    return json.dumps(body | fields).encode()


def _completion(rng: random.Random, model: str) -> bytes:
    prompt = "def " + "_".join(rng.choices(_WORDS, k=rng.randint(2, 200)))
    body: Body = {"model": model, "prompt": prompt, "max_tokens": rng.randint(1, MAX_REPLY_TOKENS)}
    return json.dumps(body).encode()


def _garbage(rng: random.Random, model: str) -> bytes:
    """Bodies that no server should accept."""
    del model
    return rng.choice(
        [
            b"{",
            b"\xff\xfe\x00" * 50,
            b"[]",
            b'{"messages": 7}',
            b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": -1}',
            b'{"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}',
            b'{"messages": [{"role": "user", "content": "x"}], "model": "no-such-model"}',
            b'{"messages": [{"role": "user", "content": "' + b"a " * 200_000 + b'"}]}',
            b"[" * 100_000,
            rng.randbytes(2000),
        ]
    )


def _json_schema(rng: random.Random, model: str) -> bytes:
    schema = {"name": "person", "schema": _SCHEMA, "strict": True}
    form = {"type": "json_schema", "json_schema": schema}
    return _chat(rng, model, response_format=form, max_tokens=MAX_REPLY_TOKENS)


_CHAT = "/chat/completions"

KINDS: Mapping[str, Callable[[random.Random, str], tuple[str, bytes]]] = MappingProxyType(
    {
        "chat": lambda rng, model: (_CHAT, _chat(rng, model)),
        "chat stream": lambda rng, model: (
            _CHAT,
            _chat(rng, model, stream=True, stream_options={"include_usage": True}),
        ),
        "tools": lambda rng, model: (_CHAT, _chat(rng, model, tools=[_BASH])),
        "required tools stream": lambda rng, model: (
            _CHAT,
            _chat(rng, model, tools=[_BASH], tool_choice="required", stream=True),
        ),
        "n=2": lambda rng, model: (_CHAT, _chat(rng, model, n=2, temperature=1.0)),
        "completion": lambda rng, model: ("/completions", _completion(rng, model)),
        "json_schema": lambda rng, model: (_CHAT, _json_schema(rng, model)),
        "garbage": lambda rng, model: (_CHAT, _garbage(rng, model)),
        "garbage completion": lambda rng, model: ("/completions", _garbage(rng, model)),
    }
)
"""What is asked: (random numbers, model) -> path and body."""
