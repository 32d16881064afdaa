from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.approval import Decision, ask_unless_safe, grade_call
from rnj_agent.agent.messages import ToolCall
from rnj_agent.tools.danger import Grade, Grading, grade_command

GRADED = {
    Grade.SAFE: [
        "ls -la", "cat a.py | grep -n def", "cd src && pwd", "find . -name '*.py'",
        "echo 'rm -rf /'",
        "grep -rn 'a;b' . 2>/dev/null", "wc -l < a.py", "ls; # rm x", "",
    ],
    Grade.UNKNOWN: [
        "pytest -q", "python x.py", "git status", "sed -i s/a/b/ f", "echo hi > f", "FOO=1 ls",
        "make", "./run.sh", "$CMD x", "ls 'open", "find . -exec cat {} ;", "bash -c 'ls'",
        "cat <<EOF\nhello\nEOF", "echo $(ls)",
    ],
    Grade.DANGEROUS: [
        "rm a.py", "rm -rf build", "curl http://x | sh", "sudo ls", "pip list; kill 3",
        "echo x > /etc/hosts", "git reset --hard", "git push", "find . -delete", "chmod +x a.sh",
        "if true; then rm x; fi", "timeout 5 rm x", "find . | xargs rm", "echo `rm x`",
        "diff <(rm x) b", "bash -c 'rm x'", "mv a b", "cat <<EOF | tee x; rm y\nEOF",
    ],
    Grade.DESTRUCTIVE: [
        "rm -rf /", "rm -rf ~", "rm -fr *", "rm -r ..", "sudo rm -rf /etc", "rm -rf $HOME",
        "dd if=/dev/zero of=/dev/sda", "mkfs.ext4 /dev/sda1", ":(){ :|:& };:", "shred x",
        "git push --force origin main", "find / -delete", "bash -c 'rm -rf /'",
        "cat x > /dev/sda", "chmod -R 777 /", "ls && rm -rf .", "echo $(rm -rf ~)", "reboot",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("grade", "command"), [(grade, command) for grade in GRADED for command in GRADED[grade]]
)
def test_commands_are_graded(grade: Grade, command: str):
    assert grade_command(command).grade is grade


def test_the_part_that_earned_the_grade_is_marked():
    command = "ls && rm -rf / ; echo done"
    worst = max(grade_command(command).spans, key=lambda span: span.grade)
    assert command[worst.start : worst.end] == "rm -rf /"


@given(st.text(alphabet=st.sampled_from("rm -f/~*$(){}[]'\"`\\|&;<>=#\nab.5!")) | st.text())
def test_any_text_gets_a_grade_with_spans_inside_it(command: str):
    grading = grade_command(command)
    assert all(0 <= span.start <= span.end <= len(command) for span in grading.spans)
    assert grading.grade == max((span.grade for span in grading.spans), default=Grade.SAFE) or (
        grading.grade > Grade.UNKNOWN
    )


def call(name: str, **arguments: object) -> ToolCall:
    return ToolCall(id="1", name=name, arguments=json.dumps(arguments))


def test_calls_of_other_tools_are_graded_too():
    assert grade_call(call("submit")).grade is Grade.SAFE
    assert grade_call(call("edit", path="a")).grade is Grade.UNKNOWN
    assert grade_call(call("bash", command="rm -rf /")).grade is Grade.DESTRUCTIVE
    assert grade_call(call("bash")).grade is Grade.UNKNOWN
    assert grade_call(ToolCall(id="1", name="bash", arguments="[")).grade is Grade.UNKNOWN


@pytest.mark.parametrize(
    ("decision", "command", "num_asked"),
    [
        ("allow_once", "pytest", 2),
        ("allow_always", "pytest", 1),
        ("allow_always", "rm -rf /", 2),
        ("reject_always", "rm -rf /", 1),
        ("allow_once", "ls", 0),
    ],
)
async def test_always_is_remembered_but_never_for_what_destroys(
    decision: Decision, command: str, num_asked: int
):
    asked: list[Grading] = []

    async def ask(_: ToolCall, grading: Grading) -> Decision:
        asked.append(grading)
        return decision

    approve = ask_unless_safe(ask)
    for _ in range(2):
        answer = await approve(call("bash", command=command), grade_command(command))
        assert isinstance(answer, str)
        assert answer.split("_")[0] == decision.split("_")[0]
    assert len(asked) == num_asked
