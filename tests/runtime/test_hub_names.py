from __future__ import annotations

from pathlib import Path

import pytest
from platformdirs import user_cache_path

from rnj_agent.runtime import hub
from rnj_agent.runtime.catalogue import CATALOGUE, CatalogueEntry
from rnj_agent.runtime.errors import ModelNotFoundError
from rnj_agent.runtime.home import rnj_home


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNJ_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_home_is_where_the_environment_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rnj_home() == home
    monkeypatch.delenv("RNJ_HOME")
    assert rnj_home() == user_cache_path("rnj-agent")
    monkeypatch.setenv("RNJ_HOME", "~/models")
    assert rnj_home() == Path.home() / "models"


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.name)
def test_each_entry_can_be_fetched_and_checked(entry: CatalogueEntry) -> None:
    assert entry.wheels or entry.hub
    assert not entry.wheels or (entry.sha256 and entry.file)
    assert entry.description
    assert entry.license
    if entry.hub and entry.file:
        assert entry.hub.patterns == (entry.file,)


def test_a_model_that_has_not_been_fetched_names_the_command() -> None:
    with pytest.raises(ModelNotFoundError, match="smollm2-135m is not on this machine") as caught:
        hub.resolve("smollm2-135m")
    assert caught.value.hint == "rnj-agent model pull smollm2-135m"
    assert [status.path for status in hub.list_models()] == [None] * len(CATALOGUE)


def test_an_unknown_name_lists_the_names_and_the_nearest() -> None:
    with pytest.raises(
        ModelNotFoundError, match=r"Names: rnj-1-instruct, qwen2\.5-coder"
    ) as caught:
        hub.resolve("qwen2.5-coder-1.5")
    assert caught.value.hint == "rnj-agent model pull qwen2.5-coder-1.5b"
    with pytest.raises(ModelNotFoundError) as caught:
        hub.pull("zzz")
    assert caught.value.hint == "rnj-agent model list"


def test_paths_are_models_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.gguf"
    file.touch()
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    assert hub.resolve("x.gguf") == file
    with pytest.raises(ModelNotFoundError, match=r"a folder without config\.json"):
        hub.resolve(str(folder))
    (folder / "config.json").touch()
    assert hub.resolve("checkpoint") == folder
    (tmp_path / "x.bin").touch()
    with pytest.raises(ModelNotFoundError, match=r"not a \.gguf file"):
        hub.resolve("x.bin")


def test_a_file_that_someone_put_in_place_counts_by_its_size(home: Path) -> None:
    entry = CATALOGUE["llama-3-tokenizer"]
    path = hub.model_path(entry)
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(entry.size_bytes - 1))
    with pytest.raises(ModelNotFoundError):
        hub.resolve(entry.name)
    path.write_bytes(bytes(entry.size_bytes))
    assert hub.resolve(entry.name) == path
    assert hub.info(entry.name).record is None
