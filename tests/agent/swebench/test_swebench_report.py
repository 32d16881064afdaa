from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rnj_agent.agent.cli.edge import execute
from rnj_agent.agent.swebench.report.markdown import to_markdown
from rnj_agent.agent.swebench.report.page import write_page
from rnj_agent.agent.swebench.report.report import read_report
from rnj_agent.agent.swebench.results import InstanceResult
from rnj_agent.agent.swebench.run_dir import RESULT, RunDir, read_record, write_record
from rnj_agent.agent.swebench.status import Prices
from tests.agent.swebench.synthetic_run import Shape, write_run

VOID = {"meta", "input", "line", "rect", "path", "br"}
HOSTILE = "</script><script>alert(1)</script> | `*_ \x1b[31m\u202e"


class PageReader(HTMLParser):
    """Notes what a browser would: tags that do not nest, addresses, and packed trajectories."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.packed: dict[str, str] = {}
        self.rows: list[str] = []
        self._id = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [given[name] or "" for name in ("href", "src") if name in given]
        self._id = (given.get("data-packed") or "") if tag == "script" else ""
        if tag == "tr" and "data-id" in given:
            self.rows.append(given["data-id"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._id = ""

    def handle_data(self, data: str) -> None:
        if self._id:
            self.packed[self._id] = data


def read_page(path: Path) -> PageReader:
    reader = PageReader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert not reader.open
    return reader


def unpacked(packed: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(packed)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    shape = Shape(num_selected=12, num_finished=10, num_attempts=2, share_resolved=0.5)
    run = write_run(tmp_path_factory.mktemp("report") / "run", shape)
    path = next(iter(sorted(run.root.glob(f"instances/*/{RESULT}"))))
    result = read_record(path, InstanceResult)
    assert result is not None
    attempts = [each.model_copy(update={"detail": HOSTILE}) for each in result.attempts]
    changed = {"status": "loop", "chosen": None, "attempts": tuple(attempts), "why": HOSTILE}
    write_record(path, result.model_copy(update=changed))
    return run


@pytest.fixture(scope="module")
def page(run: RunDir) -> Path:
    path = run.root / "report.html"
    write_page(read_report(run.root, Prices(prompt=1, completion=2)), path)
    return path


def test_the_page_nests_and_asks_for_no_other_file(page: Path) -> None:
    reader = read_page(page)
    assert not [each for each in reader.addresses if not each.startswith("./instances/")]
    assert "default-src 'none'" in page.read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|https?://", page.read_text(encoding="utf-8"))


def test_every_instance_is_there_with_every_attempt(run: RunDir, page: Path) -> None:
    reader = read_page(page)
    ids = [result.instance_id for result in run.results()]
    assert reader.rows == ids == list(reader.packed)
    for result in run.results():
        content = unpacked(reader.packed[result.instance_id])
        assert len(content["attempts"]) == 2
        for attempt in content["attempts"]:
            assert attempt["entries"][0][0] == "task"
            assert (page.parent / attempt["path"]).is_file()


def test_what_models_and_servers_say_is_text(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "alert(1)" in text
    assert "<script>alert(1)" not in text


def test_a_run_of_nothing_is_a_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", Shape(num_selected=3, num_finished=0))
    write_page(read_report(run.root), tmp_path / "page.html")
    assert read_page(tmp_path / "page.html").rows == []
    assert "0 of 3 finished" in to_markdown(read_report(run.root))


def test_a_page_elsewhere_links_to_the_run(run: RunDir, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write_page(read_report(run.root), page)
    for address in read_page(page).addresses:
        assert (tmp_path / address).is_dir()


def test_markdown_cells_hold_no_markup_of_others(run: RunDir) -> None:
    markdown = to_markdown(read_report(run.root))
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows if "alert" in line} == {5}
    assert "\x1b" not in markdown
    assert "\\<script>" in markdown


def test_the_command_writes_both_and_says_where(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["swebench", "report", str(run.root)]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert Path(line).stat().st_size > 1_000


@pytest.mark.skipif(
    shutil.which("chromium") is None,
    reason="no chromium to open the page in: apt-get install chromium",
)
def test_a_trajectory_opens_in_a_browser(run: RunDir, page: Path, tmp_path: Path) -> None:
    instance_id = next(iter(run.results())).instance_id
    seen = subprocess.run(
        [
            "chromium",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=3000",
            "--dump-dom",
            f"{page.as_uri()}#{instance_id}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    opened = seen[seen.index("<dialog") :]
    assert re.search(r"<dialog[^>]* open", opened)
    assert "TimeDelta serialization precision" in opened
    assert "python -m pytest -q tests/test_fields.py" in opened
