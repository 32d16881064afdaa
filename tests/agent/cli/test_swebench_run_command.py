"""``swebench run`` as it is typed: goes on where it stopped, and refuses what would mix runs."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rnj_agent.agent.scripted_server import (
    ScriptedReply,
    ScriptedServer,
    error_reply,
    json_reply,
    text_reply,
)
from rnj_agent.agent.swebench.leftovers import leftovers
from rnj_agent.agent.swebench.manifest import Manifest
from rnj_agent.agent.swebench.run_dir import RunDir, read_record
from rnj_agent.agent.swebench.run_lock import locked
from rnj_agent.sandbox.engine import connect
from tests.agent.swebench.judged_repository import judged_repository

pytestmark = pytest.mark.docker
MODELS = json_reply({"data": [{"id": "scripted", "max_model_len": 32768}]})


def call(name: str, **arguments: str) -> ScriptedReply:
    body = json.dumps({"name": name, "arguments": arguments})
    return text_reply(f"<tool_call>\n{body}\n</tool_call>")


FIX = call("bash", command="sed -i 's/return a - b/return a + b/' calc.py")
SUBMIT = call("submit")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three instances of one tiny repository, whose image is there."""
    folder = tmp_path_factory.mktemp("rows")
    with judged_repository(folder / "image") as (instance, image):
        row: dict[str, Any] = instance.model_dump(mode="json", by_alias=True)
        row |= {"FAIL_TO_PASS": [], "PASS_TO_PASS": [], "image": image}
        names = ("tiny__tiny-1", "tiny__tiny-2", "tiny__tiny-3")
        path = folder / "rows.jsonl"
        path.write_text("\n".join(json.dumps(row | {"instance_id": name}) for name in names))
        yield path


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.out)


def arguments(rows: Path, output: Path, server: ScriptedServer, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "rnj_agent.agent.cli", "swebench", "run", str(rows)),
        *("-o", str(output), "-w", "1", "-e", server.base_url, *more),
    ]


async def run(rows: Path, output: Path, server: ScriptedServer, *more: str) -> Ended:
    process = await asyncio.create_subprocess_exec(
        *arguments(rows, output, server, *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def script(*replies: ScriptedReply) -> ScriptedServer:
    return ScriptedServer({"/v1/models": MODELS, "/v1/chat/completions": replies})


async def test_killed_and_started_again(rows: Path, tmp_path: Path) -> None:
    """The second instance is under way when the runner is killed; only it and the third follow."""
    output = tmp_path / "run"
    stalled = ScriptedReply(parts=(600.0,))
    async with script(FIX, SUBMIT, FIX, stalled, FIX, SUBMIT, FIX, SUBMIT) as server:
        process = await asyncio.create_subprocess_exec(
            *arguments(rows, output, server), stderr=asyncio.subprocess.PIPE
        )
        await asyncio.to_thread(wait_until, lambda: len(server.bodies("/v1/chat/completions")) > 3)
        busy = await run(rows, output, server)
        assert busy.code == 2
        assert "Another process" in busy.err
        process.kill()
        await process.communicate()
        first = (output / "instances" / "tiny__tiny-1" / "result.json").stat()

        again = await run(rows, output, server)
        assert again.code == 0, again.err
        assert "removed 1 container that a killed runner left" in again.err
        assert again.summary["by_status"] == {"submitted": 3}
        assert len(server.bodies("/v1/chat/completions")) == 8
        assert (output / "instances" / "tiny__tiny-1" / "result.json").stat() == first

        once_more = await run(rows, output, server)
        assert (once_more.code, once_more.summary["final"]) == (0, 3)
        assert len(server.bodies("/v1/chat/completions")) == 8
    predictions = json.loads((output / "preds.json").read_text())
    assert [row["instance_id"] for row in predictions.values()] == sorted(predictions)
    assert all("+    return a + b" in row["model_patch"] for row in predictions.values())
    manifest = read_record(RunDir(output).manifest, Manifest)
    assert manifest is not None
    client = connect()
    assert leftovers(client, manifest.run_id) == []
    client.close()


async def test_a_run_is_held_to_what_it_was_begun_with(rows: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    async with script(FIX, SUBMIT, FIX, SUBMIT) as server:
        assert (await run(rows, output, server, "--limit", "1")).code == 0
        other = await run(rows, output, server, "--limit", "2", "--temperature", "0.5")
        assert other.code == 2
        assert "sampling.temperature: 0.0 -> 0.5" in other.err
        assert "instances: 1 more (tiny__tiny-2)" in other.err
        changed = await run(rows, output, server, "--limit", "2", "--allow-changed")
        assert (changed.code, changed.summary["final"]) == (0, 2)
        assert len(server.bodies("/v1/chat/completions")) == 4
    assert len(list(output.glob("manifest.*.json"))) == 1


async def test_errors_of_ours_are_no_result_and_run_again_on_request(
    rows: Path, tmp_path: Path
) -> None:
    refused = error_reply(403, "no")
    async with script(refused, refused, FIX, SUBMIT) as server:
        more = ("--limit", "1", "--tries", "2")
        failed = await run(rows, tmp_path, server, *more)
        assert failed.code == 3
        assert failed.summary["errors"] == ["tiny__tiny-1"]
        assert json.loads((tmp_path / "preds.json").read_text()) == {}
        kept = await run(rows, tmp_path, server, *more)
        assert (kept.code, len(server.bodies("/v1/chat/completions"))) == (3, 2)
        again = await run(rows, tmp_path, server, *more, "--retry", "errors")
        assert (again.code, again.summary["patches"]) == (0, 1)
    earlier = tmp_path / "instances" / "tiny__tiny-1" / "earlier-1.1" / "result.json"
    assert json.loads(earlier.read_text())["status"] == "model_error"


async def test_attempts_are_checked_and_one_is_chosen(rows: Path, tmp_path: Path) -> None:
    """The first breaks a test that passed, the other two agree."""
    breaks = call("bash", command="sed -i 's/return a - b/return 1/' calc.py")
    only_add = call("bash", command="sed -i '2s/a - b/a + b/' calc.py")
    async with script(breaks, SUBMIT, only_add, SUBMIT, only_add, SUBMIT) as server:
        more = ("--limit", "1", "--attempts", "3", "--test-cmd", "python3 -m pytest -rA -q")
        ended = await run(rows, tmp_path, server, *more)
        assert ended.code == 0, ended.err
        temperatures = [body["temperature"] for body in server.bodies("/v1/chat/completions")]
        assert temperatures == [0.0, 0.0, 0.7, 0.7, 0.7, 0.7]
        seeds = [body.get("seed") for body in server.bodies("/v1/chat/completions")]
        assert seeds[0] is None
        assert len(set(seeds)) == 3
    result = RunDir(tmp_path).read_result("tiny__tiny-1")
    assert result is not None
    assert result.chosen == 2
    assert "1 dropped: breaks tests that passed; 2 of 2 agree" in result.why
    assert [attempt.tests_broken for attempt in result.attempts] == [1, 0, 0]


async def test_no_room_for_two(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(Exception, match="Another process"), locked(tmp_path):
        pass
