"""What doctor finds: servers on their ports, the machine, the sandbox verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnj_agent.agent.cli.doctor import machine, sandboxes
from rnj_agent.agent.cli.doctor.profile import check_profile
from rnj_agent.agent.cli.doctor.servers import ask_servers, check_model
from rnj_agent.agent.cli.edge import execute
from rnj_agent.agent.config import Config, ModelSettings, SandboxSettings
from rnj_agent.agent.presets import Preset
from rnj_agent.agent.scripted_server import ScriptedReply, ScriptedServer, error_reply, json_reply
from rnj_agent.sandbox.probe import Fact


def preset(url: str, name: str = "vllm") -> Preset:
    return Preset(name=name, title=name, base_url=url, api_key_env="VLLM_API_KEY")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (json_reply({"data": [{"id": "a"}, {"id": "b"}]}), "a, b; use --endpoint vllm"),
        (json_reply({"data": []}), "no models"),
        (error_reply(401, "no"), "wants a key (VLLM_API_KEY)"),
    ],
)
async def test_servers_that_answer_are_named(reply: ScriptedReply, words: str) -> None:
    async with ScriptedServer({"/v1/models": reply}) as server:
        (check,) = await ask_servers([preset(server.base_url), preset("http://127.0.0.1:9/v1")])
    assert words in check.detail


async def test_other_programs_on_a_port_are_no_model_servers() -> None:
    for reply in (error_reply(404, "x"), json_reply([1]), ScriptedReply(parts=(b"<html>",))):
        async with ScriptedServer({"/v1/models": reply}) as server:
            assert await ask_servers([preset(server.base_url)]) == []


async def test_only_this_machine_is_asked() -> None:
    assert await ask_servers([preset("https://api.together.xyz/v1")]) == []


def test_the_machine_is_described_without_importing_torch(tmp_path: Path) -> None:
    checks = [
        machine.check_python(),
        machine.check_processor(),
        machine.check_memory(),
        machine.check_disk(tmp_path / "not" / "yet"),
        machine.check_git(),
        machine.check_gpu(),
    ]
    assert all(check.detail for check in checks)
    assert all(check.hint for check in checks if check.status == "missing")


def test_no_sandbox_is_what_fails() -> None:
    missing = [
        Fact(kind="docker", available=False, detail="no engine", hint="install docker"),
        Fact(kind="bubblewrap", available=False, detail="no userns", hint="sysctl"),
    ]
    verdict, *details = sandboxes.check_sandboxes(Config(), missing)
    assert (verdict.status, verdict.hint) == ("missing", "install docker")
    assert [check.status for check in details] == ["warning", "warning"]
    host = Config(sandbox=SandboxSettings(kind="host"))
    assert sandboxes.check_sandboxes(host, missing)[0].status == "warning"


def test_an_endpoint_that_is_not_known_is_a_finding_not_a_crash() -> None:
    check = check_model(Config(model=ModelSettings(endpoint="nowhere")))
    assert check.status == "missing"
    assert "no endpoint named 'nowhere'" in check.detail


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": {"name": "EssentialAI/rnj-1-instruct"}}, "rnj-1: text protocol, temperature 0"),
        ({"model": {"name": "m-3b", "temperature": 0.2}}, "generic, for a small model: tools pro"),
        ({"model": {"endpoint": "vllm"}}, "by the name of the model it has"),
        ({"harness": {"profile": "nope"}}, "There is no profile 'nope'"),
    ],
)
def test_the_profile_is_told(fields: dict[str, object], words: str) -> None:
    check = check_profile(Config.model_validate(fields))
    assert words in check.detail
    assert (check.status == "missing") == ("no profile" in words)


def test_the_whole_command_as_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNJ_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    code = execute(["doctor", "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = {row["name"] for row in rows}
    assert {"python", "processor", "memory", "disk", "git", "gpu", "sandbox", "model"} <= names
    assert code == (
        4 if any(r["status"] == "missing" for r in rows if r["name"] == "sandbox") else 0
    )
