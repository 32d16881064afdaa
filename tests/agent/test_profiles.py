"""Profiles: chosen by name, settled for a model's size, overridden by the person alone."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from rnj_agent.agent.assembly import limits_from, make_loop, offered_tools
from rnj_agent.agent.config import Config, HarnessSettings, LimitSettings, ModelSettings
from rnj_agent.agent.config_layers import load_config
from rnj_agent.agent.errors import ConfigError
from rnj_agent.agent.harness import Harness, harness_for, protocol_for, settled_model
from rnj_agent.agent.instructions import system_prompt
from rnj_agent.agent.model import ModelInfo
from rnj_agent.agent.profiles import profile_for
from rnj_agent.agent.profiles.profile import is_small
from rnj_agent.agent.scripted_model import ScriptedModel
from rnj_agent.agent.swebench.run_request import DEFAULT_STEPS, RunRequest
from rnj_agent.sandbox.fake import FakeSandbox
from tests.agent.loop_runs import ScriptedWorkspace, run

RNJ = "EssentialAI/rnj-1-instruct"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("rnj-1-instruct", "rnj-1"),
        (RNJ, "rnj-1"),
        ("/models/Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf", "qwen2.5-coder"),
        ("qwen3-coder-30b", "generic"),
        ("my-rnj-1", "generic"),
    ],
)
def test_families_by_name(model: str, name: str) -> None:
    assert profile_for(model).name == name


@pytest.mark.parametrize(
    ("model", "small"),
    [
        ("qwen2.5-coder-1.5b", True),
        ("qwen2.5-coder:0.5b", True),
        ("owner-7b/Llama-3.2-3B-Instruct", True),
        ("SmolLM2-135M-Instruct-Q4_K_M.gguf", True),
        ("gemma-3-4b-it", True),
        ("llama-3.1-8b", False),
        ("qwen3-30b-a3b", False),
        ("mixtral-8x7b", False),
        ("model-4bit", False),
        ("rnj-1-instruct", False),
    ],
)
def test_small_is_what_the_name_says(model: str, small: bool) -> None:
    assert is_small(model) == small


def test_a_small_model_gets_fewer_tools_and_a_shorter_prompt() -> None:
    config = Config(model=ModelSettings(protocol="tools"))
    large, small = "llama-3.1-8b", "llama-3.2-1b"
    names = {
        model: [tool.name for tool in offered_tools(config, model, submit=True)]
        for model in (large, small)
    }
    assert names == {large: ["bash", "edit", "submit"], small: ["bash", "submit"]}
    prompts = [system_prompt(config, model, needs_patch=True) for model in (large, small)]
    assert len(prompts[1]) < len(prompts[0])
    assert "edit" not in prompts[1]


@pytest.mark.parametrize("protocol", ["tools", "text"])
def test_rnj_is_told_who_it_is_and_that_code_alone_does_nothing(protocol: str) -> None:
    config = Config.model_validate({"model": {"protocol": protocol}})
    prompt = system_prompt(config, RNJ, needs_patch=True)
    assert prompt.startswith("You are Rnj-1, a model for code by Essential AI. ")
    assert prompt.endswith("put it into a command or a call.")
    assert system_prompt(config, "org/other", needs_patch=False).startswith("You are other. ")


def test_what_the_person_sets_wins() -> None:
    assert settled_model(ModelSettings(), RNJ).model_dump(
        include={"temperature", "top_p", "max_tokens"}
    ) == {"temperature": 0.0, "top_p": 0.95, "max_tokens": 2048}
    told = ModelSettings(temperature=0.2, top_p=0.5, max_tokens=9)
    assert settled_model(told, RNJ) == told
    config = Config(harness=HarnessSettings(retry_temperature=0.1, review=False))
    helps = harness_for(config, RNJ)
    assert (helps.retry_temperature, helps.review) == (0.1, False)
    assert harness_for(Config(), RNJ).retry_temperature == 0.6
    assert limits_from(config, ScriptedModel([])).max_rejections == 0


def test_each_setting_of_the_harness_is_one_of_a_run() -> None:
    told = set(HarnessSettings.model_fields) - {"profile"}
    assert told == {field.name for field in fields(Harness)} - {"form"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the person's own profiles."""
    monkeypatch.setenv("RNJ_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text("")
    (tmp_path / "profiles").mkdir()
    return tmp_path / "profiles"


OWN = """
prefixes = ["llama", "rnj-1-x"]
identity = "You are Lla."
protocol = "text"
temperature = 0.3
lines = ["Be quick."]
[harness]
nudges = false
[small]
temperature = 0.1
[small.harness]
fresh_starts = 0
[swebench]
steps = 7
"""


def test_a_profile_of_the_persons_own(folder: Path) -> None:
    (folder / "lla.toml").write_text(OWN)
    large, small = profile_for("llama-3.1-8b"), profile_for("llama-3.2-3b")
    assert (large.name, large.temperature, large.harness) == ("lla", 0.3, {"nudges": False})
    assert (small.temperature, small.lines) == (0.1, ("Be quick.",))
    assert small.harness == {"nudges": False, "fresh_starts": 0}
    assert profile_for("rnj-1-x2").name == "lla"  # the longer prefix
    assert profile_for("rnj-1-instruct").name == "rnj-1"
    assert profile_for("rnj-1-instruct", name="lla").identity == "You are Lla."
    (folder / "rnj-1.toml").write_text(OWN.replace("Lla.", "mine."))
    assert profile_for("rnj-1-x2", name="rnj-1").identity == "You are mine."


def test_the_documented_profile_is_one(folder: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text("utf-8")
    (folder / "mine.toml").write_text(guide.split("```toml\n")[1].split("```")[0])
    assert profile_for("my-model-1b").harness == {"fresh_starts": 3, "steps_per_start": 8}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prefixes = 3", "'prefixes'"),
        ("", "'prefixes': Field required"),
        ("prefixes = []\ntemprature = 0", "'temprature': Extra inputs"),
        ("prefixes = []\ntemperature = 3", "'temperature'"),
        ('prefixes = []\ntemperature = "0"', "'temperature'"),
        ("prefixes = []\n[harness]\nreviews = true", "'harness.reviews'"),
        ('prefixes = []\n[harness]\nprofile = "x"', "cannot name another"),
        ("prefixes = []\n[small]\nidentity = 'x'", "'small.identity'"),
        ('prefixes = []\ntools = ["edit"]', "bash must be among them"),
        ("prefixes = [", "not valid TOML"),
        ("\ud800", "cannot be read"),
    ],
)
def test_a_broken_profile_names_its_file_and_key(folder: Path, text: str, words: str) -> None:
    path = folder / "mine.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError) as caught:
        profile_for("any")
    assert str(path) in caught.value.message
    assert words in caught.value.message


def test_an_unknown_profile_names_those_that_are_known(folder: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"generic, mini-swe-agent, qwen2\.5-coder, rnj-1"
    ) as told:
        harness_for(Config(harness=HarnessSettings(profile="nope")), RNJ)
    assert str(folder / "nope.toml") in told.value.hint


def test_a_repository_chooses_no_profile(folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".rnj" / "profiles").mkdir(parents=True)
    (tmp_path / ".rnj" / "profiles" / "rnj-1.toml").write_text(OWN)
    assert profile_for(RNJ).identity.startswith("You are Rnj-1")
    (tmp_path / ".rnj" / "config.toml").write_text('[harness]\nprofile = "mini-swe-agent"\n')
    with pytest.raises(ConfigError, match=r"may not set 'harness\.profile'"):
        load_config(directory=tmp_path)


def request(config: Config, *unset: str) -> RunRequest:
    return RunRequest(
        root=Path("run"),
        instances=(),
        source="x",
        source_sha256="",
        config=config,
        open_limits=frozenset(unset),
    )


def test_swebench_takes_what_is_open_from_the_profile() -> None:
    asked = Config(limits=LimitSettings(steps=DEFAULT_STEPS, time_s=5))
    settled = request(asked, "steps", "format_errors").settled(RNJ).config
    assert (settled.limits.steps, settled.limits.time_s) == (200, 5)
    assert (settled.model.temperature, protocol_for(settled, RNJ)) == (0.0, "text")
    assert request(asked).settled(RNJ).config.limits.steps == DEFAULT_STEPS
    assert request(asked, "steps").settled("other").config.limits.steps == DEFAULT_STEPS
    mini = Config(harness=HarnessSettings(profile="mini-swe-agent"))
    limits = request(mini, *LimitSettings.model_fields).settled("other").config.limits
    assert (limits.steps, limits.command_timeout_s) == (200, 60)


async def test_a_run_acts_as_its_profile_says(folder: Path) -> None:
    (folder / "lla.toml").write_text(OWN)
    info = ModelInfo(name="llama", endpoint="x", context_window=8192, exact_counts=True)
    model = ScriptedModel(["THOUGHT: done\n\n```bash\nls\n```"], info=info, repeat_last=True)
    config = Config(limits=LimitSettings(steps=1))
    loop = make_loop(config, model=model, sandbox=FakeSandbox(), workspace=ScriptedWorkspace())
    await run(loop)
    (asked,) = model.requests
    assert (asked.reply_form, asked.tools) == ("bash_block", ())
    assert (loop.protocol, loop.harness.nudges) == ("text", False)
