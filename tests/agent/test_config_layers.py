"""Configuration: precedence, messages that name the place, and what a repository may not say."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnj_agent.agent.config import Config, LimitSettings
from rnj_agent.agent.config_keys import REPOSITORY_KEYS, dotted, known_keys, variables
from rnj_agent.agent.config_layers import LoadedConfig, load_config
from rnj_agent.agent.endpoint import resolve_endpoint
from rnj_agent.agent.errors import ConfigError


class Places:
    """A user's config file and a repository, in a folder of their own."""

    def __init__(self, root: Path) -> None:
        self.user_file = root / "user.toml"
        self.repository = root / "repository"
        (self.repository / ".git").mkdir(parents=True, exist_ok=True)
        (self.repository / ".rnj").mkdir(exist_ok=True)
        self.user_file.write_text("")
        self.repository_file = self.repository / ".rnj" / "config.toml"

    def load(self, *, flags: dict[str, object] | None = None, **environ: str) -> LoadedConfig:
        return load_config(
            directory=self.repository,
            flags=flags,
            environ={"RNJ_CONFIG": str(self.user_file), "PATH": "/bin", **environ},
        )


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_each_layer_wins_over_the_one_below(places: Places) -> None:
    default = Config().limits.steps
    assert places.load().config.limits.steps == default
    places.user_file.write_text("[limits]\nsteps = 40\n")
    assert places.load().config.limits.steps == 40
    places.repository_file.write_text("[limits]\nsteps = 30\n")
    assert places.load().config.limits.steps == 30
    assert places.load(RNJ_LIMITS_STEPS="60").config.limits.steps == 60
    loaded = places.load(RNJ_LIMITS_STEPS="60", flags={"limits.steps": 70})
    assert loaded.config.limits.steps == 70
    assert loaded.origins["limits.steps"] == "command line"
    assert loaded.files == (places.user_file, places.repository_file)


def test_a_flag_that_is_not_given_changes_nothing(places: Places) -> None:
    places.user_file.write_text("[model]\nname = 'mine'\n")
    assert places.load(flags={"model.name": None}).config.model.name == "mine"


def test_the_repositorys_file_is_found_from_a_folder_inside_but_not_from_outside(
    places: Places,
) -> None:
    places.repository_file.write_text("[fix]\ntest_cmd = 'make test'\n")
    inside = places.repository / "src" / "deep"
    inside.mkdir(parents=True)
    environ = {"RNJ_CONFIG": str(places.user_file)}
    assert load_config(directory=inside, environ=environ).config.fix.test_cmd == "make test"
    nested = inside / "other"
    (nested / ".git").mkdir(parents=True)
    assert load_config(directory=nested, environ=environ).config.fix.test_cmd == ""


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[limits]\n#\nstpes = 3\n", r"user\.toml:3: unknown key 'limits\.stpes'", "limits.steps"),
        ("steps = 3\n", r"user\.toml:1: unknown key 'steps'", "limits.steps"),
        ("[model]\nimage = 'x'\n", r"user\.toml:2: unknown key 'model\.image'", "sandbox.image"),
        ("[sandbx]\nkind = 'host'\n", r"unknown key 'sandbx\.kind'", "sandbox.kind"),
        (
            "[endpoints.'my.box']\nbase_ulr = 'x'\n",
            r"user\.toml:2: unknown key 'endpoints\.\"my\.box\"\.base_ulr'",
            'endpoints."my.box".base_url',
        ),
        ("[model]\napi_key = 'sk-secret'\n", "keys are not kept in files", "api_key_env"),
    ],
)  # fmt: skip
def test_unknown_keys_name_place_and_nearest(
    places: Places, text: str, message: str, hint: str
) -> None:
    places.user_file.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        places.load()
    assert hint in caught.value.hint
    assert "sk-secret" not in caught.value.message + caught.value.hint


def test_wrong_values_name_their_origin(places: Places) -> None:
    places.user_file.write_text("[limits]\n\nsteps = 0\n")
    with pytest.raises(ConfigError, match=r"user\.toml:3: 'limits\.steps' cannot be 0: .*greater"):
        places.load()
    places.user_file.write_text("")
    with pytest.raises(ConfigError, match=r"RNJ_MODEL_TEMPERATURE: 'model\.temperature' cannot be"):
        places.load(RNJ_MODEL_TEMPERATURE="hot")


def test_unknown_variables_name_the_nearest(places: Places) -> None:
    with pytest.raises(ConfigError, match="unknown environment variable RNJ_MODLE") as caught:
        places.load(RNJ_MODLE="x")
    assert caught.value.hint == "did you mean RNJ_MODEL?"


def test_short_variables_win_over_long_ones_and_empty_ones_are_unset(places: Places) -> None:
    loaded = places.load(RNJ_MODEL="short", RNJ_MODEL_NAME="long", RNJ_ENDPOINT="")
    assert loaded.config.model.name == "short"
    assert loaded.config.model.endpoint == "bundled"


def test_broken_files_are_named(places: Places) -> None:
    places.user_file.write_text("[model\n")
    with pytest.raises(ConfigError, match=r"user\.toml is not valid TOML: .*line 1"):
        places.load()
    places.user_file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        places.load()
    places.user_file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        places.load()


def test_endpoints_are_changed_and_added(places: Places) -> None:
    places.user_file.write_text(
        "[endpoints.vllm]\nbase_url = 'http://gpu:8000/v1'\n"
        "[endpoints.mine]\nbase_url = 'http://mine/v1/'\napi_key_env = 'MINE'\n"
    )
    config = places.load(RNJ_ENDPOINT="vllm").config
    assert resolve_endpoint(config).base_url == "http://gpu:8000/v1"
    assert resolve_endpoint(config).api_key_env == "VLLM_API_KEY"
    mine = resolve_endpoint(places.load(RNJ_ENDPOINT="mine").config)
    assert (mine.base_url, mine.api_key_env) == ("http://mine/v1", "MINE")
    raw = resolve_endpoint(places.load(RNJ_ENDPOINT="http://127.0.0.1:9000/v1").config)
    assert (raw.base_url, raw.is_bundled) == ("http://127.0.0.1:9000/v1", False)
    with pytest.raises(ConfigError, match="no endpoint named 'nowhere'"):
        resolve_endpoint(places.load(RNJ_ENDPOINT="nowhere").config)


def test_the_default_is_the_bundled_runtime_in_a_closed_sandbox(places: Places) -> None:
    config = places.load().config
    assert resolve_endpoint(config).is_bundled
    assert not config.sandbox.network
    assert config.sandbox.kind == "auto"


FORBIDDEN = [
    *sorted(set(known_keys()) - REPOSITORY_KEYS),
    ("endpoints", "bundled", "base_url"),
    ("endpoints", "together", "api_key_env"),
    ("endpoints", "new", "base_url"),
]
VALUES = ["'host'", "true", "99999", "'http://evil/v1'"]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("key", FORBIDDEN, ids=dotted)
def test_a_repository_sets_nothing_outside_its_list(
    places: Places, key: tuple[str, ...], value: str
) -> None:
    places.repository_file.write_text(f"{dotted(key)} = {value}\n")
    with pytest.raises(ConfigError, match="a repository may not set") as caught:
        places.load()
    assert str(places.user_file) in caught.value.hint


def test_the_list_holds_no_key_of_sandbox_endpoint_or_path() -> None:
    sections = {key[0] for key in REPOSITORY_KEYS}
    assert sections == {"fix", "limits", "model"}
    assert not {("model", "name"), ("model", "endpoint")} & REPOSITORY_KEYS


TOML_NUMBERS = st.one_of(
    st.integers(-10, 10**7).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(
        lambda x: {"inf": "inf", "-inf": "-inf", "nan": "nan"}.get(repr(x), repr(x))
    ),
    st.integers(1, 10**7).map(lambda x: f"'{x}'"),
    st.sampled_from(["true", "'inf'", "'1e9'", "[]", "{}"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(sorted(LimitSettings.model_fields)),
    value=TOML_NUMBERS,
    users=st.one_of(st.none(), st.integers(1, 1000)),
)
def test_a_repository_never_raises_a_limit(
    places: Places, name: str, value: str, users: int | None
) -> None:
    places.user_file.write_text("" if users is None else f"[limits]\n{name} = '{users}'\n")
    places.repository_file.write_text("")
    bound = getattr(places.load().config.limits, name)
    places.repository_file.write_text(f"[limits]\n{name} = {value}\n")
    try:
        loaded = places.load()
    except ConfigError:
        return
    held = getattr(loaded.config.limits, name)
    assert bound is None or held <= bound
    assert held == bound or loaded.origins[f"limits.{name}"].startswith(str(places.repository_file))


def test_a_limit_that_stays_is_said(places: Places) -> None:
    places.repository_file.write_text("[limits]\nsteps = 5000\n")
    loaded = places.load()
    assert loaded.config.limits.steps == Config().limits.steps
    assert "may only lower 'limits.steps'; it stays at 50" in loaded.warnings[0]


def test_a_hostile_repository_file_is_refused_not_read(places: Places) -> None:
    places.repository_file.write_bytes(b"#" * (1024**2 + 1))
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        places.load()


def test_a_fifo_in_place_of_the_file_does_not_block(places: Places) -> None:
    os.mkfifo(places.repository_file)
    assert places.load().files == (places.user_file,)


@given(st.text(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_loads_or_is_a_config_error(places: Places, text: str) -> None:
    places.user_file.write_text(text, encoding="utf-8", errors="replace")
    with contextlib.suppress(ConfigError):
        places.load()


def test_every_key_outside_endpoints_has_a_variable() -> None:
    assert set(variables().values()) == set(known_keys())
