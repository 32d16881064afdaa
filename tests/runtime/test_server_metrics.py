"""What Prometheus reads: names, kinds and numbers."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.reply_parts import TextPart
from rnj_agent.runtime.server.metrics import ServerMetrics
from rnj_agent.runtime.server.service import Service
from tests.runtime.live_server import API_KEY, LiveServer, loaded_service, serving
from tests.runtime.scripted_generations import ScriptedLine, delta, replies_of
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

HEADERS = {"Authorization": f"Bearer {API_KEY}"}
HI = [{"role": "user", "content": "hi " * 50}]


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer, None, None]:
    path = write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")
    with serving(loaded_service(path, name="noise")) as live:
        yield live


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[name, frozenset(labels.items())]


def scrape(server: LiveServer) -> str:
    answer = httpx.get(f"{server.url}/metrics", headers=HEADERS)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def ask(server: LiveServer, **fields: Any) -> httpx.Response:
    body = {"messages": HI, "max_tokens": 7, "ignore_eos": True, **fields}
    return httpx.post(f"{server.base_url}/chat/completions", json=body, headers=HEADERS)


def test_requests_show_in_the_numbers(noise: LiveServer) -> None:
    before = scrape(noise)
    assert ask(noise).status_code == 200
    assert ask(noise, n=2).status_code == 200
    assert ask(noise, temperature=-1).status_code == 400
    assert httpx.get(f"{noise.url}/%00/nowhere", headers=HEADERS).status_code == 404
    after = scrape(noise)

    def grown(name: str, **labels: str) -> float:
        key = name, frozenset(labels.items())
        return samples(after)[key] - samples(before).get(key, 0.0)

    assert grown("rnj_generation_tokens_total") == 21
    assert grown("rnj_replies_finished_total", reason="length") == 3
    assert grown("rnj_reply_tokens_count") == 3
    assert grown("rnj_time_to_first_token_seconds_count") == 2
    assert grown("rnj_request_duration_seconds_count") == 2
    assert grown("rnj_inter_token_seconds_count") == 18
    assert grown("rnj_prompt_tokens_cached_total") > 0
    assert grown("rnj_prompt_tokens_total") > grown("rnj_prompt_tokens_cached_total")
    path = "/v1/chat/completions"
    assert grown("rnj_http_requests_total", path=path, status="200") == 2
    assert grown("rnj_http_requests_total", path=path, status="400") == 1
    assert grown("rnj_http_requests_total", path="other", status="404") == 1
    assert value(after, "rnj_model_loaded") == 1
    assert value(after, "rnj_replies_running") == 0
    assert value(after, "rnj_kv_blocks_used") == 0
    assert value(after, "rnj_kv_blocks_cached") > 0
    assert value(after, "process_resident_memory_bytes") > 2**20
    assert value(after, "process_open_fds") > 3


def test_names_follow_prometheus_conventions(noise: LiveServer) -> None:
    for family in text_string_to_metric_families(scrape(noise)):
        assert family.documentation, family.name
        assert family.name.startswith(("rnj_", "process_"))
        if family.type == "counter":
            assert all(s.name.endswith(("_total", "_created")) for s in family.samples)


def test_they_are_behind_the_key(noise: LiveServer) -> None:
    assert httpx.get(f"{noise.url}/metrics").status_code == 401


def test_scraping_does_not_keep_an_idle_server_up(noise: LiveServer) -> None:
    idle_s = noise.service.activity.idle_s
    scrape(noise)
    assert noise.service.activity.idle_s >= idle_s


def test_two_servers_in_a_process_count_apart() -> None:
    one, other = Service(model_name="a"), Service(model_name="b")
    one.metrics.finished_replies.labels("stop").inc()
    assert b'rnj_replies_finished_total{reason="stop"} 1.0' in one.metrics.exposition()
    assert b"rnj_replies_finished_total{" not in other.metrics.exposition()
    assert b"rnj_model_loaded 0.0" in other.metrics.exposition()


async def test_replies_that_do_not_end_by_themselves_are_told_apart() -> None:
    metrics = ServerMetrics(lambda: None)
    failing = ScriptedLine([delta(TextPart("a")), EngineError("broken")])
    with pytest.raises(EngineError):
        await replies_of(failing, metrics=metrics).whole()
    replies_of(ScriptedLine([], stays_open=True), num_choices=3, metrics=metrics).cancel()
    text = metrics.exposition().decode()
    assert value(text, "rnj_replies_finished_total", reason="error") == 1
    assert value(text, "rnj_replies_finished_total", reason="cancelled") == 3
    assert value(text, "rnj_request_duration_seconds_count") == 0
