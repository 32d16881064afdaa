"""Other people's clients, unchanged, against ``rnj-agent serve`` with a real model.

They bring a hundred packages along, so they live in a virtual environment of their own, which the
first run makes (a minute or two):

    RNJ_TEST_CLIENTS=~/.cache/rnj-test-clients python -m pytest tests/e2e/test_real_clients.py

The ``openai`` package is a dependency of ours: tests/runtime has its tests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rnj_agent.sandbox.images.build import DEFAULT_IMAGE
from tests.runtime.real_models import QWEN, model_file

pytestmark = [pytest.mark.e2e, pytest.mark.weights, pytest.mark.timeout(3600)]

ROOT = Path(__file__).resolve().parents[2]
MODEL = "qwen2.5-coder-1.5b"
KEY = "sk-of-this-test"
CONTEXT = 8192

CLIENTS = (
    ["mini-swe-agent==2.4.6"],
    # 1.106 cannot call tools without the mcp package, and later ones ask for a newer certifi than
    # some indexes have.
    ["--no-deps", "litellm==1.109.1"],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    folder: Path

    def run(self, *argv: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's programs, away from this user's settings."""
        program, *arguments = argv
        return subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            cwd=cwd,
            env={"PATH": os.environ["PATH"], "HOME": str(cwd), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def clients() -> Clients:
    folder = os.environ.get("RNJ_TEST_CLIENTS")
    if not folder:
        pytest.skip("set RNJ_TEST_CLIENTS to a folder where litellm and mini-swe-agent may live")
    path = Path(folder).expanduser().absolute()
    if not (path / "installed").exists():
        venv.create(path, with_pip=True, clear=True)
        for requirements in CLIENTS:
            pip = [str(path / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, *requirements], check=True)
        (path / "installed").touch()
    return Clients(folder=path)


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """Of a server as a person starts it."""
    model_file(QWEN)
    key_file = tmp_path_factory.mktemp("serve") / "key"
    key_file.write_text(KEY)
    argv = [sys.executable, "-m", "rnj_agent.agent.cli", "serve", "--model", MODEL, "--port", "0"]
    argv += ["--api-key-file", str(key_file), "--context", str(CONTEXT)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said: list[str] = []
        for line in server.stderr:
            said.append(line)
            if line.startswith("ready:"):
                break
        listening = re.search(r"listening on (http://\S+)", "".join(said))
        assert listening, "".join(said)
        yield listening[1]
        server.terminate()
        server.communicate()


LITELLM_CALLS = """
import asyncio, json, sys
import litellm

server = {"model": "openai/" + sys.argv[1], "api_base": sys.argv[2], "api_key": sys.argv[3]}
question = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
plain = {**server, "messages": question, "temperature": 0, "max_tokens": 16}
weather = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}
wanted = [{"role": "user", "content": "How will the weather be in Oslo for 3 days?"}]

def refused(kind, **changes):
    try:
        litellm.completion(**{**plain, **changes})
    except kind:
        return True

first = litellm.completion(**plain)
pieces = [piece for piece in litellm.completion(**plain, stream=True)]
call = litellm.completion(
    **server, messages=wanted, tools=[weather], tool_choice="required", temperature=0
).choices[0]
schema = {"name": "city", "schema": weather["function"]["parameters"]}
structured = litellm.completion(
    **server, messages=wanted, temperature=0,
    response_format={"type": "json_schema", "json_schema": schema},
)
print(json.dumps({
    "sync": first.choices[0].message.content,
    "usage": first.usage.completion_tokens,
    "async": asyncio.run(litellm.acompletion(**plain)).choices[0].message.content,
    "stream": "".join(piece.choices[0].delta.content or "" for piece in pieces),
    "num_pieces": len(pieces),
    "finish_reason": call.finish_reason,
    "call": call.message.tool_calls[0].function.name,
    "arguments": json.loads(call.message.tool_calls[0].function.arguments),
    "structured": json.loads(structured.choices[0].message.content),
    "wrong_key": refused(litellm.AuthenticationError, api_key="sk-wrong"),
    "wrong_model": refused(litellm.NotFoundError, model="openai/no-such-model"),
    "too_long": refused(
        litellm.ContextWindowExceededError,
        messages=[{"role": "user", "content": "word " * 20000}],
    ),
}))
"""


def test_litellm(clients: Clients, base_url: str, tmp_path: Path) -> None:
    ended = clients.run(
        *("python", "-c", LITELLM_CALLS, MODEL, base_url, KEY),
        cwd=tmp_path,
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )
    assert ended.returncode == 0, ended.stderr
    answers: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    assert "Paris" in answers["sync"]
    assert answers["sync"] == answers["async"] == answers["stream"]
    assert answers["num_pieces"] > 1
    assert answers["usage"] > 0
    assert (answers["finish_reason"], answers["call"]) == ("tool_calls", "get_weather")
    for found in (answers["arguments"], answers["structured"]):
        assert isinstance(found["city"], str)
        assert isinstance(found["days"], int)
    assert answers["wrong_key"]
    assert answers["wrong_model"]
    assert answers["too_long"]


def sandbox_image() -> str:
    found = shutil.which("docker") and subprocess.run(
        ["docker", "image", "inspect", DEFAULT_IMAGE], capture_output=True, check=False
    )
    if not found or found.returncode:
        pytest.skip(f"needs a Docker engine with {DEFAULT_IMAGE}: rnj-agent sandbox build")
    return DEFAULT_IMAGE


def make_repository(folder: Path) -> Path:
    repository = folder / "intervals"
    junk = shutil.ignore_patterns("ISSUE.md", "__pycache__", ".pytest_cache")
    shutil.copytree(ROOT / "examples" / "intervals", repository, ignore=junk)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Intervals, with a bug"]):
        subprocess.run([*git, *command], cwd=repository, check=True)
    return repository


@pytest.mark.docker
def test_mini_swe_agent_works_on_an_issue(clients: Clients, base_url: str, tmp_path: Path) -> None:
    """It drives the server to an end of its own. Whether the model can fix it is its own affair."""
    image, repository = sandbox_image(), make_repository(tmp_path)
    user = f"{os.getuid()}:{os.getgid()}"
    run_args = ["--rm", "--network", "none", "--user", user, "-v", f"{repository}:/repo"]
    settings = [
        "mini.yaml",
        "agent.step_limit=6",
        "model.model_kwargs.temperature=0",
        "model.model_kwargs.max_tokens=512",
        "model.model_kwargs.tool_choice=required",
        "model.model_kwargs.parallel_tool_calls=false",
        "model.cost_tracking=ignore_errors",
        f"environment.image={image}",
        "environment.cwd=/repo",
        f"environment.run_args={json.dumps(run_args)}",
    ]
    ended = clients.run(
        *("mini", "--yolo", "--exit-immediately", "--model", f"openai/{MODEL}"),
        *("--environment-class", "docker", "--output", "trajectory.json"),
        *(part for setting in settings for part in ("-c", setting)),
        *("--task", (ROOT / "examples" / "intervals" / "ISSUE.md").read_text()),
        cwd=tmp_path,
        OPENAI_BASE_URL=base_url,
        OPENAI_API_KEY=KEY,
        MSWEA_CONFIGURED="true",
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )
    trajectory = tmp_path / "trajectory.json"
    assert trajectory.exists(), ended.stdout + ended.stderr
    run = json.loads(trajectory.read_text())
    assert run["info"]["exit_status"] in {"Submitted", "LimitsExceeded", "RepeatedFormatError"}
    responses = [
        message["extra"]["response"]
        for message in run["messages"]
        if "response" in message.get("extra", {})
    ]
    assert len(responses) == run["info"]["model_stats"]["api_calls"] >= 2
    for response in responses:
        (choice,) = response["choices"]
        assert choice["finish_reason"] in {"tool_calls", "length"}
        assert response["usage"]["prompt_tokens"] > 0
    assert any(message["role"] == "tool" for message in run["messages"])
    assert responses[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
