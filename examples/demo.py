"""``make demo``: fix a real bug with a real model, end to end, and say where the time went.

The bug is in ``examples/intervals``: a small package, its tests (two of them fail) and an issue.
Nothing here knows the fix. The package is copied into a fresh git repository first, so the demo
leaves the checkout alone and shows what ``rnj-agent fix`` does in a repository of yours.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parent / "intervals"
MODEL = "qwen2.5-coder-1.5b"
TEST_COMMAND = "python -m pytest -q"
GIT = ["git", "-c", "user.name=demo", "-c", "user.email=demo@localhost"]
AGENT = [sys.executable, "-m", "rnj_agent.agent.cli"]


@dataclass
class Shares:
    """Seconds of the demo's wall time, by what they were spent on."""

    download_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    commands_s: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)

    def add(self, event: dict[str, Any]) -> None:
        match event["kind"]:
            case "usage_updated":
                self.prefill_s += event["prefill_s"]
                self.decode_s += event["decode_s"]
            case "tool_call_finished" | "verification_finished":
                self.commands_s += event["duration_s"]
            case _:
                pass
        self.events.append(event)


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stderr.isatty() else f"\n{text}", file=sys.stderr)


def make_repository(folder: Path) -> Path:
    """A git repository of its own with the example in it, the issue kept outside."""
    repository = folder / "intervals"
    junk = shutil.ignore_patterns("ISSUE.md", "__pycache__", ".pytest_cache")
    shutil.copytree(EXAMPLE, repository, ignore=junk)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Intervals, with a bug"]):
        subprocess.run([*GIT, *command], cwd=repository, check=True)
    return repository


def fix(repository: Path, shares: Shares) -> int:
    """Run ``rnj-agent fix``; its progress goes to the terminal, its events come here."""
    command = [*AGENT, "fix", "--repo", str(repository), "--issue", str(EXAMPLE / "ISSUE.md")]
    command += ["--test-cmd", TEST_COMMAND, "--model", MODEL, "--apply", "--json", *sys.argv[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                shares.add(json.loads(line))
        except KeyboardInterrupt:
            pass  # the agent got it too, and ends by itself
    return process.returncode


def report(shares: Shares, total_s: float) -> None:
    last = shares.events[-1] if shares.events else {}
    tests = [event for event in shares.events if event["kind"] == "verification_finished"]
    if last.get("patch"):
        say("The patch")
        print(last["patch"])
    if tests:
        say(f"The tests after it ({TEST_COMMAND})")
        print(tests[-1]["output"].rstrip())
    other_s = total_s - (shares.download_s + shares.prefill_s + shares.decode_s + shares.commands_s)
    say(f"{total_s:.0f} s in all")
    for name, seconds in (
        ("download", shares.download_s),
        ("prefill", shares.prefill_s),
        ("decode", shares.decode_s),
        ("commands", shares.commands_s),
        ("other (load, sandbox, start)", other_s),
    ):
        print(f"  {name:<30}{seconds:7.1f} s {100 * seconds / total_s:5.1f} %")


def main() -> int:
    started, shares = time.monotonic(), Shares()
    say(f"1. The model: {MODEL} (fetched once, 1.1 GB)")
    status = subprocess.run(
        [*AGENT, "model", "pull", MODEL], stdout=sys.stderr, check=False
    ).returncode
    if status:
        return status
    shares.download_s = time.monotonic() - started
    say("2. The issue")
    print((EXAMPLE / "ISSUE.md").read_text(encoding="utf-8"), file=sys.stderr)
    say("3. rnj-agent fix")
    with tempfile.TemporaryDirectory(prefix="rnj-demo-") as folder:
        status = fix(make_repository(Path(folder)), shares)
    report(shares, time.monotonic() - started)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
