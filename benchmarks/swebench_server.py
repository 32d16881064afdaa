"""A scripted model server for SWE-bench workloads, with the bad days of real ones.

    python benchmarks/swebench_server.py --port 8377 [--malformed 0.1 --dropped 0.05 --stalled 0.02]

It keeps no state: an instance's kind is in its issue, and how far it is in the request's messages.
So any number of clients may ask, be killed and ask again. Streams where the client asks for it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

MODEL: Final = "scripted"
KINDS: Final = ("submitted", "step_limit", "format_errors")
COMMANDS: Final = (
    "ls",
    "git log --oneline | head -5",
    "cat pkg/module_3.py | head -40",
    "grep -rn 'def value' pkg | head -20",
    "sed -n '1,30p' pkg/module_7.py",
    "python3 -c 'import sys; print(sys.version)'",
    "sed -i 's/return 3$/return 33/' pkg/module_3.py",
    "git diff --stat",
    "wc -l pkg/*.py | tail -1",
    "cat pkg/module_3.py | tail -5",
)
_SUBMIT_BY_COMMAND: Final = (
    "git add -A && git diff --cached > /tmp/patch.txt; "
    "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && cat /tmp/patch.txt"
)
_KIND: Final = re.compile(rf"kind: ({'|'.join(KINDS)})")
_STEP: Final = "echo step"
"""Begins each command of the script; a broken call that a client mended is none of them."""
_MAX_MALFORMED: Final = 2
"""In a row, so that a run of bad luck does not look like a model that knows no better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    malformed: float = 0.0
    dropped: float = 0.0
    stalled: float = 0.0
    stall_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    text: str
    name: str = ""
    """Of the tool; empty: no call."""
    arguments: str = ""

    @property
    def finish_reason(self) -> str:
        return "tool_calls" if self.name else "stop"

    def call(self, **more: object) -> dict[str, Any]:
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": "call_1", "type": "function", "function": function, **more}


class Script:
    """Args: num_commands: that an instance takes before it submits."""

    def __init__(self, num_commands: int) -> None:
        self._num_commands = num_commands

    def reply(self, body: dict[str, Any]) -> Reply:
        """What the model says next, by the messages so far."""
        messages: list[dict[str, Any]] = body["messages"]
        found = _KIND.search(" ".join(str(each.get("content", "")) for each in messages[:3]))
        kind = found[1] if found else KINDS[0]
        num_calls = sum(_STEP in str(each.get("tool_calls")) for each in messages)
        if kind == "format_errors":
            return Reply(text=f"I think about it for the {len(messages)}th time.")
        if kind == "step_limit" or num_calls < self._num_commands:
            command = COMMANDS[num_calls % len(COMMANDS)]
            return _bash(f"{_STEP} {num_calls}; {command}")
        tools = [tool["function"]["name"] for tool in body.get("tools") or ()]
        if "submit" in tools:
            return Reply(text="It is fixed.", name="submit", arguments="{}")
        return _bash(_SUBMIT_BY_COMMAND)


def _bash(command: str) -> Reply:
    arguments = json.dumps({"command": command})
    return Reply(text="I look at it and go on.", name="bash", arguments=arguments)


def malformed(number: int) -> Reply:
    """Calls as small models break them."""
    broken = '{"command": "ls'
    if number % 2:
        return Reply(text="I call it.", name="bash", arguments=broken)
    return Reply(text=f'I call it.\n<tool_call>\n{{"name": "bash", "arguments": {broken}')


class Server:
    """HTTP/1.1 with connections that stay open."""

    def __init__(self, script: Script, faults: Faults, *, seed: int) -> None:
        self._script = script
        self._faults = faults
        self._random = random.Random(seed)
        self.num_served = {"replies": 0, "malformed": 0, "dropped": 0, "stalled": 0}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await self._answer(reader, writer):
                pass
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether another may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ", 2)[1]
        length = re.search(r"content-length: *(\d+)", head, re.IGNORECASE)
        data = await reader.readexactly(int(length[1])) if length else b""
        if path.endswith("/models"):
            rows = [{"id": MODEL, "object": "model", "max_model_len": 32768}]
            return await _send_json(writer, {"object": "list", "data": rows})
        if path.endswith("/served"):
            return await _send_json(writer, self.num_served)
        if not path.endswith("/chat/completions"):
            return await _send_json(writer, {"error": {"message": "no such path"}}, status=404)
        return await self._complete(json.loads(data), writer)

    async def _complete(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        reply = self._script.reply(body)
        luck, faults = self._random.random(), self._faults
        self.num_served["replies"] += 1
        if luck < faults.malformed and not _had_enough(body["messages"]):
            self.num_served["malformed"] += 1
            reply = malformed(self.num_served["malformed"])
        elif faults.malformed <= luck < faults.malformed + faults.dropped:
            self.num_served["dropped"] += 1
            await _send_stream(writer, body, reply, cut=True)
            return False
        elif luck > 1 - faults.stalled:
            self.num_served["stalled"] += 1
            await asyncio.sleep(faults.stall_s)
        if body.get("stream"):
            await _send_stream(writer, body, reply, cut=False)
            return True
        return await _send_json(writer, _completion(body, reply))


def _had_enough(messages: Sequence[dict[str, Any]]) -> bool:
    said = [each for each in messages if each["role"] == "assistant"][-_MAX_MALFORMED:]
    return len(said) == _MAX_MALFORMED and not any(each.get("tool_calls") for each in said)


def _usage(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    num_prompt = sum(len(str(each.get("content", ""))) for each in body["messages"]) // 4
    num_completion = (len(reply.text) + len(reply.arguments)) // 4
    return {
        "prompt_tokens": num_prompt,
        "completion_tokens": num_completion,
        "total_tokens": num_prompt + num_completion,
    }


def _completion(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.name:
        message["tool_calls"] = [reply.call()]
    choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
    usage = _usage(body, reply)
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL}
    return {**head, "choices": [choice], "usage": usage}


async def _send_json(writer: asyncio.StreamWriter, value: object, *, status: int = 200) -> bool:
    data = json.dumps(value).encode()
    head = f"HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
    await writer.drain()
    return True


async def _send_stream(
    writer: asyncio.StreamWriter, body: dict[str, Any], reply: Reply, *, cut: bool
) -> None:
    """Word by word; ``cut``: only the first ones."""
    deltas: list[dict[str, Any]] = [{"content": f"{word} "} for word in reply.text.split(" ")]
    if reply.name:
        deltas.append({"tool_calls": [reply.call(index=0)]})
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    events: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in (deltas[:2] if cut else deltas)
    ]
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    if not cut:
        last = {"index": 0, "delta": {}, "finish_reason": reply.finish_reason}
        lines.append(f"data: {json.dumps({**head, 'choices': [last]})}\n\n")
        usage = {**head, "choices": [], "usage": _usage(body, reply)}
        lines += [f"data: {json.dumps(usage)}\n\n", "data: [DONE]\n\n"]
    start = "HTTP/1.1 200 Scripted\r\ncontent-type: text/event-stream\r\n"
    writer.write(f"{start}transfer-encoding: chunked\r\n\r\n".encode())
    for line in lines:
        writer.write(b"%x\r\n%s\r\n" % (len(line), line.encode()))
    if not cut:
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _run(options: argparse.Namespace) -> None:
    faults = Faults(
        malformed=options.malformed,
        dropped=options.dropped,
        stalled=options.stalled,
        stall_s=options.stall_s,
    )
    server = Server(Script(options.commands), faults, seed=options.seed)
    listening = await asyncio.start_server(
        server.serve, "127.0.0.1", options.port, limit=64 * 1024**2
    )
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", flush=True)
    async with listening:
        await listening.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--commands", type=int, default=len(COMMANDS))
    parser.add_argument("--malformed", type=float, default=0.0)
    parser.add_argument("--dropped", type=float, default=0.0)
    parser.add_argument("--stalled", type=float, default=0.0)
    parser.add_argument("--stall-s", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
