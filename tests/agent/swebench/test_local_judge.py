"""The local judge on a real image: every fate that a patch can have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rnj_agent.agent.config import Config
from rnj_agent.agent.swebench.evaluation.case import Case
from rnj_agent.agent.swebench.evaluation.local_judge import TEST_LOG, LocalJudge
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.results import Evaluation
from tests.agent.swebench.judged_repository import (
    BREAKING,
    BROKEN_SYNTAX,
    DRIFTED,
    FORGING,
    GOLD,
    HANGING,
    NOT_FITTING,
    WRONG,
    OneImage,
    judged_repository,
)

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Instance, str]]:
    with judged_repository(tmp_path_factory.mktemp("image")) as made:
        yield made


async def judge_patches(
    judged: tuple[Instance, str], patches: Mapping[str, str], logs: Path, *, timeout_s: float = 60
) -> dict[str, Evaluation]:
    instance, image = judged
    cases = [
        Case(
            instance=instance.model_copy(update={"instance_id": name}),
            patch=patch,
            model_name="model",
        )
        for name, patch in patches.items()
    ]
    judge = LocalJudge(
        config=Config(),
        images=OneImage(image),
        say=lambda _: None,
        logs=logs,
        num_workers=2,
        timeout_s=timeout_s,
    )
    found: dict[str, Evaluation] = {}
    await judge.judge(cases, lambda evaluation: found.update({evaluation.instance_id: evaluation}))
    return found


async def test_every_patch_has_its_fate(judged: tuple[Instance, str], tmp_path: Path) -> None:
    patches = {
        "gold": GOLD,
        "drifted": DRIFTED,
        "wrong": WRONG,
        "breaking": BREAKING,
        "syntax": BROKEN_SYNTAX,
        "forging": FORGING,
        "not-fitting": NOT_FITTING,
    }
    found = await judge_patches(judged, patches, tmp_path)
    assert {name: found[name].status for name in patches} == {
        "gold": "resolved",
        "drifted": "resolved",
        "wrong": "unresolved",
        "breaking": "unresolved",
        "syntax": "unresolved",
        "forging": "unresolved",
        "not-fitting": "not_applied",
    }
    assert found["wrong"].fail_to_pass_failed == ("tests/test_calc.py::test_add",)
    assert found["breaking"].pass_to_pass_failed == ("tests/test_calc.py::test_sub",)
    assert "patch failed: calc.py:1" in found["not-fitting"].detail
    assert "status 3" in found["forging"].detail
    assert "2 passed" in (tmp_path / "gold" / TEST_LOG).read_text()


async def test_tests_that_hang_are_ended(judged: tuple[Instance, str], tmp_path: Path) -> None:
    found = await judge_patches(judged, {"hanging": HANGING}, tmp_path, timeout_s=3)
    assert found["hanging"].status == "time_limit"
    assert "collected 2 items" in (tmp_path / "hanging" / TEST_LOG).read_text()


async def test_an_image_that_is_not_there_is_no_verdict(
    judged: tuple[Instance, str], tmp_path: Path
) -> None:
    missing = (judged[0], "rnj-swebench-test/never-built:1")
    found = await judge_patches(missing, {"gold": GOLD}, tmp_path)
    assert found["gold"].status == "infra_failure"
    assert "never-built" in found["gold"].detail
