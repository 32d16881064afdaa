"""Real instances from end to end: a scripted model that knows the gold patches, or changes nothing.

    python benchmarks/swebench_gold.py ROWS --ids ID [ID ...] [--judges local official]
        [--protocol tools text] -- [image options of swebench run, such as --build ...]

The scripted model is a real server, so all else is real: ``swebench run`` in the instances' images,
a patch taken out of each, ``swebench evaluate`` by both judges. Gold patches must all be resolved,
and of empty ones none. Exits with 1 where that is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from swebench_server import Faults, Reply, Script, Server

from rnj_agent.agent.swebench.dataset import load_instances
from rnj_agent.agent.swebench.instance import Instance

_FENCE = "END_OF_GOLD_PATCH"
_SENTINEL = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
_HEAD = 60
"""Characters of an issue by which it is known again in a prompt."""


class GoldScript(Script):
    """Looks, applies the gold patch of the instance whose issue it reads, and submits."""

    def __init__(self, instances: Sequence[Instance], *, is_empty: bool) -> None:
        super().__init__(0)
        self._instances = instances
        self._is_empty = is_empty

    def reply(self, body: dict[str, Any]) -> Reply:
        told = "\n".join(str(message.get("content", "")) for message in body["messages"][:2])
        num_said = sum(message["role"] == "assistant" for message in body["messages"])
        tools = [tool["function"]["name"] for tool in body.get("tools") or ()]
        commands = ["git log --oneline | head -3", self._change(told)]
        if num_said < len(commands):
            return _act(commands[num_said], has_tools=bool(tools))
        if "submit" in tools:
            return Reply(text="It is done.", name="submit", arguments="{}")
        return _act(_SENTINEL, has_tools=bool(tools))

    def _change(self, told: str) -> str:
        if self._is_empty:
            return "true"
        found = [one for one in self._instances if _head(one) in "".join(told.split())]
        assert len(found) == 1, "the issue is told as it stands"
        return f"git apply -v - <<'{_FENCE}'\n{found[0].patch}\n{_FENCE}"


def _head(instance: Instance) -> str:
    return "".join(instance.problem_statement.split())[:_HEAD]


def _act(command: str, *, has_tools: bool) -> Reply:
    if has_tools:
        arguments = json.dumps({"command": command})
        return Reply(text="I go on.", name="bash", arguments=arguments)
    return Reply(text=f"THOUGHT: I go on.\n\n```bash\n{command}\n```")


def serve(script: Script) -> str:
    """Serve in a thread of this process: the base URL."""
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, daemon=True).start()

    async def start() -> str:
        server = Server(script, Faults(), seed=1)
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=64 * 1024**2)
        return f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"

    return asyncio.run_coroutine_threadsafe(start(), loop).result()


def command(*args: str) -> dict[str, Any]:
    """Run ``rnj-agent swebench``: its line of JSON."""
    argv = [sys.executable, "-m", "rnj_agent.agent.cli", "swebench", *args]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    assert lines, f"{args[0]} ended with {done.returncode} and said nothing"
    return json.loads(lines[-1])


def judge(args: argparse.Namespace, url: str, protocol: str) -> list[int]:
    """Run and evaluate in a directory of its own: how many each judge says are resolved."""
    with tempfile.TemporaryDirectory(prefix="rnj-gold-") as folder:
        run = [str(args.rows), "-o", folder, "-e", url, "-m", "scripted", "-w", "2"]
        run += ["--protocol", protocol, "--ids", ",".join(args.ids), *args.image_options]
        ended = command("run", *run)
        print(f"{protocol}: {ended['by_status']}, {ended['patches']} patches", flush=True)
        found = [command("evaluate", folder, "--judge", name, "-w", "2") for name in args.judges]
    return [_num_resolved(judged) for judged in found]


def main() -> int:
    own = sys.argv[1:]
    split = own.index("--") if "--" in own else len(own)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=Path)
    parser.add_argument("--ids", nargs="+", required=True)
    parser.add_argument("--judges", nargs="+", default=["local", "official"])
    parser.add_argument("--protocol", nargs="+", default=["tools", "text"])
    args = parser.parse_args(own[:split])
    args.image_options = own[split + 1 :]
    instances = load_instances(str(args.rows), progress=lambda _line: None).instances
    chosen = [one for one in instances if one.instance_id in args.ids]
    is_right = True
    for patches, wanted in (("gold", len(chosen)), ("empty", 0)):
        url = serve(GoldScript(chosen, is_empty=patches == "empty"))
        for protocol in args.protocol:
            for name, resolved in zip(args.judges, judge(args, url, protocol), strict=True):
                is_right &= resolved == wanted
                mark = "ok  " if resolved == wanted else "FAIL"
                told = f"{resolved} of {len(chosen)} resolved"
                print(f"{mark} {patches}, {protocol}, {name}: {told}", flush=True)
    return 0 if is_right else 1


def _num_resolved(judged: dict[str, Any]) -> int:
    found = judged.get("resolved", judged.get("by_status", {}).get("resolved", 0))
    return len(found) if isinstance(found, list) else int(found)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
