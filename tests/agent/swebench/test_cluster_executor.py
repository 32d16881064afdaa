"""Attempts over nodes that die, refuse and come back: none lost, none done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.config import Config
from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.activity import Board
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec, ImageSettings
from rnj_agent.agent.swebench.cluster.base import CrewLostError, CrewOrder
from rnj_agent.agent.swebench.cluster.executor import ClusterExecutor
from rnj_agent.agent.swebench.cluster.nodes import Demand, Node, share_out
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.pause import Pause, PauseLimitError
from rnj_agent.agent.swebench.results import AttemptResult
from rnj_agent.agent.swebench.run_dir import RunDir
from rnj_agent.sandbox.errors import SandboxUnavailableError
from tests.agent.swebench.fake_cluster import EVENTS, FakeCluster, FakeNode


def spec_of(number: int) -> AttemptSpec:
    instance = Instance(
        instance_id=f"tiny__tiny-{number}",
        repo="tiny/tiny",
        base_commit="0" * 40,
        problem_statement="x",
    )
    return AttemptSpec(
        run_id="run",
        instance=instance,
        attempt=1,
        config=Config(),
        images=ImageSettings(),
        temperature=0.0,
        seed=None,
    )


SPECS = [spec_of(number) for number in range(12)]
NAMES = [spec.instance.instance_id for spec in SPECS]


@dataclass
class Seen:
    """What came of a run."""

    run: RunDir
    results: dict[str, AttemptResult] = field(default_factory=dict[str, AttemptResult])
    notices: list[str] = field(default_factory=list[str])
    limit_s: float | None = None
    board: Board = field(default_factory=lambda: Board(4))

    def say(self, notice: Notice) -> None:
        self.notices.append(notice.text)

    async def take(self, spec: AttemptSpec, result: AttemptResult) -> None:
        """As a runner does: what is reported lies in the run directory, and comes once."""
        instance_id = spec.instance.instance_id
        assert instance_id not in self.results
        assert self.run.read_attempt(instance_id, 1) == result
        if result.status == "submitted":
            assert self.run.read_patch(instance_id, 1) == f"patch of run/{instance_id}/1\n"
            events = self.run.attempt(instance_id, 1) / "events.jsonl"
            assert events.read_bytes() == EVENTS
        self.results[instance_id] = result

    def executor(self, *members: FakeNode) -> ClusterExecutor:
        return ClusterExecutor(
            directory=self.run,
            cluster=FakeCluster(list(members)),
            order=CrewOrder(
                run_id="run", config=Config(), images=ImageSettings(), pause_limit_s=None
            ),
            demand=Demand(),
            num_workers=4,
            pause=Pause(say=self.say, retry_s=0.02, limit_s=self.limit_s),
            board=self.board,
            say=self.say,
            look_s=0.02,
        )


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    return Seen(RunDir(tmp_path))


async def test_every_node_takes_its_share_and_everything_comes_home(seen: Seen):
    one, two = FakeNode("one", num_cpus=3), FakeNode("two")
    await seen.executor(one, two).run(SPECS, seen.take)
    assert sorted(seen.results) == sorted(NAMES)
    assert sorted(one.ran + two.ran) == sorted(NAMES)
    assert (one.num_at_most, two.num_at_most) == (2, 2)
    assert (one.num_closed, two.num_closed) == (1, 1)
    assert seen.notices.count("one: hello") == 1
    assert not list(seen.run.root.rglob(".incoming*"))


async def test_nothing_to_do_hires_nobody(seen: Seen):
    node = FakeNode("one")
    await seen.executor(node).run([], seen.take)
    assert not node.orders


async def test_what_a_lost_node_was_at_is_run_elsewhere(seen: Seen):
    dying, other = FakeNode("dying", dies_at=2), FakeNode("other")
    await seen.executor(dying, other).run(SPECS, seen.take)
    assert sorted(seen.results) == sorted(NAMES)
    assert {result.status for result in seen.results.values()} == {"submitted"}
    assert max(Counter(dying.ran + other.ran).values()) == 2
    assert any(text.startswith("lost dying") for text in seen.notices)
    assert len(dying.orders) == dying.num_closed >= 1


async def test_a_node_that_joins_late_is_put_to_work(seen: Seen):
    slow, late = FakeNode("slow", num_cpus=1, takes_s=0.05), FakeNode("late", is_alive=False)
    running = asyncio.create_task(seen.executor(slow, late).run(SPECS, seen.take))
    await asyncio.sleep(0.1)
    late.is_alive = True
    await running
    assert late.ran
    assert sorted(seen.results) == sorted(NAMES)
    assert late.orders[0].num_slots == 2
    assert late.orders[0].spared  # what the other one was at keeps its containers


@pytest.mark.parametrize("num_cpus", [1, 2])
async def test_what_kills_every_crew_is_an_error_of_its_own(seen: Seen, num_cpus: int):
    killers = frozenset({"tiny__tiny-5"})
    members = [FakeNode(name, num_cpus=num_cpus, kills=killers) for name in ("one", "two")]
    await seen.executor(*members).run(SPECS, seen.take)
    assert sorted(seen.results) == sorted(NAMES)
    bad = seen.results.pop("tiny__tiny-5")
    assert bad.status == "sandbox_error"
    assert bad.detail.startswith("its node was lost 3 times")
    spoiled = [result for result in seen.results.values() if result.status != "submitted"]
    assert len(spoiled) <= 2 * (num_cpus - 1)  # who shared the node with it each time


async def test_a_node_without_an_engine_is_left_out(seen: Seen):
    bare = FakeNode("bare", error=SandboxUnavailableError("no Docker engine answers"))
    good = FakeNode("good")
    await seen.executor(bare, good).run(SPECS, seen.take)
    assert sorted(good.ran) == sorted(NAMES)
    assert "bare is left out: no Docker engine answers" in seen.notices
    assert len(bare.orders) == 1


async def test_a_node_that_never_begins_is_left_out(seen: Seen):
    broken = FakeNode("broken", error=CrewLostError("No module named 'rnj_agent'"))
    good = FakeNode("good", num_cpus=1, takes_s=0.05)
    await seen.executor(broken, good).run(SPECS, seen.take)
    assert sorted(good.ran) == sorted(NAMES)
    assert len(broken.orders) == broken.num_closed == 3
    with pytest.raises(UsageError, match="broken cannot begin: No module named"):
        await seen.executor(broken).run(SPECS, seen.take)


async def test_nodes_without_any_engine_end_the_run(seen: Seen):
    bare = FakeNode("bare", error=SandboxUnavailableError("no Docker engine answers"))
    with pytest.raises(SandboxUnavailableError):
        await seen.executor(bare).run(SPECS, seen.take)


async def test_another_version_is_refused_with_what_to_do(seen: Seen):
    with pytest.raises(UsageError, match=r"old has rnj-agent 0\.0\.1") as refused:
        await seen.executor(FakeNode("old", version="0.0.1")).run(SPECS, seen.take)
    assert refused.value.hint == f"there: pip install rnj-agent=={FakeNode('x').version}"


async def test_a_cluster_without_room_is_waited_for(seen: Seen):
    node = FakeNode("one", num_cpus=0)
    running = asyncio.create_task(seen.executor(node).run(SPECS, seen.take))
    await asyncio.sleep(0.1)
    assert any(
        "no node of the cluster with a Docker engine offers CPU: 1" in x for x in seen.notices
    )
    node.num_cpus = 2
    await running
    assert sorted(seen.results) == sorted(NAMES)


async def test_it_is_waited_for_no_longer_than_asked(seen: Seen):
    seen.limit_s = 0.05
    with pytest.raises(PauseLimitError):
        await seen.executor(FakeNode("one", num_cpus=0)).run(SPECS, seen.take)


async def test_a_pause_that_reached_its_limit_on_a_node_ends_the_run(seen: Seen):
    node = FakeNode("one", attempt_error=PauseLimitError("the model server is away"))
    with pytest.raises(PauseLimitError, match="the model server is away"):
        await seen.executor(node, FakeNode("two", takes_s=60)).run(SPECS, seen.take)
    assert node.num_closed == 1


async def test_cancelled_it_ends_what_is_under_way_in_order(seen: Seen):
    members = [FakeNode("one", takes_s=60), FakeNode("two", takes_s=60)]
    running = asyncio.create_task(seen.executor(*members).run(SPECS, seen.take))
    await asyncio.sleep(0.1)
    assert len(seen.board.activity().in_flight) == 4
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [member.num_cancelled for member in members] == [2, 2]
    assert [member.num_closed for member in members] == [1, 1]
    assert not seen.results
    assert not seen.board.activity().in_flight


@given(
    st.lists(st.integers(0, 9), max_size=5),
    st.integers(1, 30),
    st.one_of(st.none(), st.integers(1, 4)),
)
def test_shares_are_even_and_never_above_what_a_node_has(
    cpus: list[int], num_workers: int, at_most: int | None
):
    nodes = [
        Node(id=str(index), name="", resources={"CPU": count, "images": count * 0.3})
        for index, count in enumerate(cpus)
    ]
    demand = Demand(num_cpus=1, resources={"images": 0.3}, max_per_node=at_most)
    shares = share_out(nodes, demand, num_workers, {})
    room = {node.id: min(int(node.resources["CPU"]), at_most or 99) for node in nodes}
    assert sum(shares.values()) == min(num_workers, sum(room.values()))
    for node_id, share in shares.items():
        assert 1 <= share <= room[node_id]
        others = [shares.get(other, 0) for other in room if room[other] > shares.get(other, 0)]
        assert share <= min(others, default=share) + 1


def test_a_share_respects_what_is_taken():
    nodes = [Node(id=name, name=name, resources={"CPU": 8}) for name in ("a", "b")]
    assert share_out(nodes, Demand(), 10, {"a": 6}) == {"b": 4}
    assert share_out(nodes, Demand(), 6, {"a": 6}) == {}
