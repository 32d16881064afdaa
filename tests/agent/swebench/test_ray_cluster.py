"""The door to a Ray cluster; and a run on two nodes of one, which takes minutes."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rnj_agent.agent.cli.app import app
from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.cluster.nodes import Demand
from rnj_agent.agent.swebench.cluster.ray_cluster import connect

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "swebench_ray.py"
HAS_RAY = importlib.util.find_spec("ray") is not None


def refused(address: str) -> UsageError:
    with pytest.raises(UsageError) as error, connect(address, Demand()):
        pytest.fail("there is no such cluster")
    return error.value


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed: pip uninstall ray, to see it missing")
def test_a_missing_ray_is_named_with_what_to_type():
    assert refused("auto").hint == "pip install 'rnj-agent[ray]'"


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'rnj-agent[ray]'")
def test_an_address_where_nothing_listens_is_refused_at_once():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and never listens
        address = f"127.0.0.1:{held.getsockname()[1]}"
        assert refused(address).message.startswith(f"No Ray cluster answers at {address}: ")


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"node": 0}', '{"node": true}', '{"node": "1"}', '{"node": -1}']
)
def test_resources_must_be_names_and_amounts(text: str, tmp_path: Path):
    arguments = ["swebench", "run", "-o", str(tmp_path), "--executor", "ray"]
    result = CliRunner().invoke(app, [*arguments, "--ray-resources", text])
    assert result.exit_code == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.docker
@pytest.mark.skipif(
    not (HAS_RAY and os.environ.get("TEST_RAY")),
    reason="takes minutes, and Ray: pip install 'rnj-agent[ray]', and set TEST_RAY=1",
)
def test_two_nodes_do_as_one_machine_does_through_kills():
    small = ["--instances", "10", "--workers", "4"]
    done = subprocess.run([sys.executable, str(BENCHMARK), *small], check=False, timeout=280)
    assert done.returncode == 0
