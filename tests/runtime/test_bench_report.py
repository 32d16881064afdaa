"""What a benchmark says: ratios, shares, the table, the JSON and the plot."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rnj_agent.runtime.bench.plot import check_can_plot, write_plot
from rnj_agent.runtime.bench.report import Figure, as_json
from rnj_agent.runtime.bench.table import as_table, with_unit
from rnj_agent.runtime.errors import RequestError
from tests.runtime.bench_reports import BANDWIDTH, report


def test_a_ratio_is_the_median_over_pairs_not_the_ratio_of_medians() -> None:
    figure = Figure(
        group="decode", name="x", unit="tokens/s", ours=(10.0, 20.0, 90.0), rival=(10.0, 5.0, 30.0)
    )
    assert figure.ratio == 3.0  # of 1, 4 and 3
    assert (figure.value, figure.rival_value) == (20.0, 10.0)


def test_of_seconds_and_bytes_less_is_better() -> None:
    for unit in ("s", "GiB"):
        figure = Figure(group="load", name="x", unit=unit, ours=(8.0,), rival=(2.0,))
        assert figure.ratio == 0.25


def test_without_a_rival_there_is_no_ratio() -> None:
    figure = Figure(group="load", name="x", unit="s", ours=(8.0,))
    assert figure.ratio is figure.rival_value is None


def test_decoding_is_a_share_of_the_bandwidth() -> None:
    decode = next(f for f in report(with_rival=False).figures if f.group == "decode")
    assert decode.share_of(BANDWIDTH) == pytest.approx(0.5)
    assert decode.share_of(None) is None


def test_the_table_beside_a_rival() -> None:
    lines = as_table(report(with_rival=True)).splitlines()
    assert lines[0] == "model.gguf on a processor, Linux, 2 threads, 2026-11-22T10:00+00:00"
    assert "xllamacpp 1.2, 2 threads, flash attention auto; AVX2" in lines[2]
    (decode,) = (line.split() for line in lines if line.startswith("decode at 128"))
    assert decode[3:] == ["10.0", "tokens/s", "5.50", "tokens/s", "2.00", "x", "50%", "3"]
    assert lines[-1] == "decode at 4096: left out, the window is 2048 tokens."
    assert "Read bandwidth 20.0 GB/s: 2 threads read 1.0 GiB" in "\n".join(lines)


def test_without_a_rival_the_table_has_no_columns_for_it() -> None:
    table = as_table(report(with_rival=False))
    assert "llama.cpp" not in table
    assert "ratio" not in table.lower()


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "0.12 s"), (12.34, "12.3 s"), (1234.5, "1234 s")]
)
def test_three_digits_count(value: float, text: str) -> None:
    assert with_unit(value, "s") == text


def test_the_json_holds_every_run_and_what_follows() -> None:
    facts = json.loads(as_json(report(with_rival=True)))
    decode = next(figure for figure in facts["figures"] if figure["name"] == "decode at 128")
    assert decode["ours"] == [10.0, 9.0, 11.0]
    assert (decode["value"], decode["rival_value"]) == (10.0, 5.5)
    assert decode["share_of_bandwidth"] == pytest.approx(0.5)
    assert facts["rival"]["binding"] == "xllamacpp 1.2"
    assert facts["format_version"] == 1


@pytest.mark.parametrize("with_rival", [True, False])
def test_the_plot_is_a_picture_that_opens(tmp_path: Path, with_rival: bool) -> None:
    image = pytest.importorskip(
        "matplotlib.image", reason="matplotlib is missing: pip install 'rnj-agent[bench]'"
    )
    path = tmp_path / "bench.png"
    write_plot(report(with_rival=with_rival), path)
    height, width, _ = image.imread(path).shape
    assert min(height, width) > 500


def test_nothing_to_plot_is_said() -> None:
    pytest.importorskip("matplotlib", reason="pip install 'rnj-agent[bench]'")
    full = report(with_rival=False)
    memory = [figure for figure in full.figures if figure.group == "memory"]
    with pytest.raises(RequestError, match="Nothing that was measured"):
        write_plot(replace(full, figures=memory), Path("never.png"))


def test_a_missing_matplotlib_is_said_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RequestError) as caught:
        check_can_plot()
    assert caught.value.hint == "pip install 'rnj-agent[bench]'"
