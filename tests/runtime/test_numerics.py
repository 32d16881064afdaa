"""What is measured of two models: zero where they are one, and by hand where they are not."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
from rnj_agent.runtime.bench.synthetic.text import SyntheticText
from rnj_agent.runtime.errors import EngineError, RequestError
from rnj_agent.runtime.models import CausalLM, load_model
from rnj_agent.runtime.numerics import run as numerics_run
from rnj_agent.runtime.numerics.compare import CHUNK, compare
from rnj_agent.runtime.numerics.distributions import DriftMeter
from rnj_agent.runtime.numerics.probes import ErrorMeter
from rnj_agent.runtime.numerics.report import NumericsReport, as_json, as_table
from rnj_agent.runtime.numerics.run import NumericsOptions, run, text_ids
from tests.runtime.tiny_checkpoint import write_noise_checkpoint


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    """Matrices so small are not worth a second thread's waiting."""
    torch.set_num_threads(1)


def noise() -> SyntheticCheckpoint:
    return SyntheticCheckpoint("rnj-1-tiny", recites=False)


def tokens(count: int) -> list[int]:
    return SyntheticText(noise()).prompt(count, salt=1)


@settings(max_examples=25, deadline=None)
@given(num_positions=st.integers(2, 80), seed=st.integers(0, 99))
def test_drift_is_what_the_formulas_say(num_positions: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    reference, noise = torch.randn(2, num_positions, 50, generator=generator).unbind()
    subject = reference + noise * 0.3
    next_ids = torch.randint(0, 50, (num_positions - 1,), generator=generator)
    meter = DriftMeter()
    half = num_positions // 2
    meter.add(reference[:half], subject[:half], next_ids[:half])
    meter.add(reference[half:], subject[half:], next_ids[half:])
    drift = meter.result()
    p, q = reference.double().softmax(-1), subject.double().softmax(-1)
    kl = (p * (p / q).log()).sum(-1)
    assert drift.num_positions == num_positions
    assert drift.mean_kl == pytest.approx(kl.mean().item(), rel=1e-3, abs=1e-6)
    assert drift.max_kl == pytest.approx(kl.max().item(), rel=1e-3, abs=1e-6)
    assert 0.0 <= drift.mean_kl <= drift.max_kl
    assert drift.p99_kl <= drift.max_kl
    agrees = p.argmax(-1) == q.argmax(-1)
    assert drift.top1_agreement == pytest.approx(agrees.double().mean().item())
    nll = -q[:-1].gather(1, next_ids[:, None]).log().mean().item()
    assert drift.subject_perplexity == pytest.approx(math.exp(nll), rel=1e-4)


def test_an_error_is_relative_to_the_reference() -> None:
    meter = ErrorMeter()
    meter.add(torch.tensor([3.0]), torch.tensor([3.0]))
    meter.add(torch.tensor([4.0]), torch.tensor([4.5]))
    assert meter.relative == pytest.approx(0.1)
    assert ErrorMeter().relative == math.inf


@pytest.fixture(scope="module")
def model() -> CausalLM:
    return load_model(noise(), dtype=torch.float32)


def test_a_model_does_not_drift_from_itself(model: CausalLM) -> None:
    layers, qkv_proj = model.layers, getattr(model.layers[0], "self_attn").qkv_proj  # noqa: B009 - a decoder layer's protocol does not say what it is made of
    seen: list[int] = []
    comparison = compare(
        model,
        model,
        tokens(CHUNK + 5),
        names=("a", "b"),
        progress=lambda done, total: seen.append(done),
    )
    assert comparison.drift.mean_kl == 0.0
    assert comparison.drift.top1_agreement == 1.0
    assert comparison.drift.num_positions == CHUNK + 5
    assert [error.residual for error in comparison.layers] == [0.0, 0.0]
    assert seen == [CHUNK, CHUNK + 5]
    assert model.layers is layers
    assert getattr(model.layers[0], "self_attn").qkv_proj is qkv_proj  # noqa: B009 - likewise


def test_a_damaged_projection_is_found(model: CausalLM) -> None:
    damaged = load_model(noise(), dtype=torch.float32)
    down_proj = getattr(damaged.layers[1], "mlp").down_proj  # noqa: B009 - as above
    down_proj.weight.mul_(1.1)
    comparison = compare(model, damaged, tokens(40), names=("right", "damaged"))
    first, second = comparison.layers
    assert first.residual == 0.0
    assert max(first.projections.values()) == 0.0
    assert second.projections["down_proj"] == pytest.approx(0.1, rel=1e-3)
    assert second.projections["gate_up_proj"] == 0.0


@pytest.fixture(scope="module")
def report() -> NumericsReport:
    return run(noise, tokens(150), options=NumericsOptions(), text="150 tokens", progress=silent)


def test_fp8_is_compared_with_both_and_bf16_with_fp32(report: NumericsReport) -> None:
    against_bf16, against_fp32, yardstick = report.comparisons
    assert (against_bf16.subject, against_bf16.reference) == ("fp8 W8A8", "bf16")
    assert (yardstick.subject, yardstick.reference) == ("bf16", "fp32")
    assert yardstick.drift.mean_kl < against_fp32.drift.mean_kl
    for comparison in (against_bf16, against_fp32):
        for layer in comparison.layers:  # e4m3 rounds to 3 bits of mantissa: 1/16 at most
            assert all(0.01 < error < 0.06 for error in layer.projections.values())


def test_the_table_and_the_json_hold_all_of_it(report: NumericsReport) -> None:
    table = as_table(report)
    assert table.startswith("synthetic-rnj-1-tiny on ")
    assert "fp8 W8A8 against fp32, relative errors" in table
    facts = json.loads(as_json(report))
    assert len(facts["comparisons"]) == 3
    assert facts["comparisons"][0]["layers"][1]["projections"]["down_proj"] > 0
    assert facts["format_version"] == 1


def test_the_text_is_read_in_the_models_own_tokens(tmp_path: Path) -> None:
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    ids = text_ids(path, num_tokens=300)
    assert len(ids) == 300
    with pytest.raises(RequestError, match="tokens; 1000000 were asked for"):
        text_ids(path, num_tokens=1_000_000)


def test_a_model_that_does_not_fit_is_refused_with_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(device: str) -> int:
        del device
        return 0

    monkeypatch.setattr(numerics_run, "available_device_bytes", nothing)
    with pytest.raises(EngineError, match=r"In bf16 synthetic-rnj-1-tiny takes 0\.0 GiB"):
        run(noise, tokens(10), options=NumericsOptions(), text="", progress=silent)


def test_at_rnj_1s_own_width_the_error_is_that_of_fp8() -> None:
    """One layer and few words, for the memory's sake: sums of 4,096 and 16,384 products."""
    make = partial(SyntheticCheckpoint, "rnj-1", num_layers=1, recites=False, vocab_size=512)
    ids = SyntheticText(make()).prompt(24, salt=0)
    options = NumericsOptions(references=("bf16",))
    (comparison,) = run(make, ids, options=options, text="", progress=silent).comparisons
    (layer,) = comparison.layers
    assert all(0.02 < error < 0.05 for error in layer.projections.values())
    assert comparison.drift.mean_kl < 0.1


def silent(line: str) -> None:
    del line
