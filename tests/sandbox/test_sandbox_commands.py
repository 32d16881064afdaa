"""What a command comes to, and what the next one continues from: the same in every sandbox."""

from __future__ import annotations

import asyncio

from rnj_agent.sandbox.base import Sandbox

ENDINGS = {
    "true": 0,
    "false": 1,
    "exit 7": 7,
    "set -e; false; echo not reached": 1,
    "nosuchcommand": 127,
    "if then": 2,
    "kill -TERM $$": 143,
    "kill -KILL $$": 137,
    "bash -c 'kill -SEGV $$'": 139,
    "exec true": 0,
    "trap 'exit 9' EXIT": 9,
}


async def test_exit_codes_and_signals(any_sandbox: Sandbox) -> None:
    results = {command: await any_sandbox.execute(command) for command in ENDINGS}
    assert {command: result.exit_code for command, result in results.items()} == ENDINGS
    assert not any(result.timed_out for result in results.values())
    assert not any("not reached" in result.output for result in results.values())


async def test_streams_are_merged_in_order(any_sandbox: Sandbox) -> None:
    result = await any_sandbox.execute("for i in 1 2 3; do echo out$i; echo err$i >&2; done")
    assert result.output == "out1\nerr1\nout2\nerr2\nout3\nerr3\n"
    assert result.output_bytes == len(result.output)


async def test_errors_count_lines_from_the_programs_first(any_sandbox: Sandbox) -> None:
    result = await any_sandbox.execute("true\nnosuchcommand")
    assert result.output == "bash: line 2: nosuchcommand: command not found\n"


async def test_long_quoted_and_foreign_programs(any_sandbox: Sandbox) -> None:
    text = "wörld 'quoted' \"twice\" $HOME `date` \\ " + "x" * 300_000
    result = await any_sandbox.execute(f"cat > file.txt <<'END'\n{text}\nEND\nwc -c < file.txt")
    assert int(result.output) == len(text.encode()) + 1
    assert await any_sandbox.read_file("file.txt") == f"{text}\n".encode()


async def test_directory_and_exports_are_carried(any_sandbox: Sandbox) -> None:
    first = await any_sandbox.execute(
        "mkdir -p a/b; cd a/b; export MULTI=$'one\\ntwo' PLAIN=1; LOCAL=2"
    )
    assert first.cwd == f"{any_sandbox.workdir}/a/b"
    second = await any_sandbox.execute('pwd; echo "$MULTI|$PLAIN|$LOCAL"; exit 3')
    assert second.output == f"{any_sandbox.workdir}/a/b\none\ntwo|1|\n"
    third = await any_sandbox.execute('unset PLAIN; echo "${PLAIN-unset}"; cd ..')
    assert third.output == "unset\n"
    assert (await any_sandbox.execute('pwd; echo "${PLAIN-unset}"')).output == (
        f"{any_sandbox.workdir}/a\nunset\n"
    )


async def test_command_with_its_own_directory_stands_apart(any_sandbox: Sandbox) -> None:
    await any_sandbox.execute("mkdir d; cd d; export CARRIED=1")
    apart = await any_sandbox.execute('echo "${CARRIED-unset}"; cd /; export X=1', cwd="/usr")
    assert (apart.output, apart.cwd) == ("unset\n", "/")
    after = await any_sandbox.execute('pwd; echo "$CARRIED ${X-unset}"')
    assert after.output == f"{any_sandbox.workdir}/d\n1 unset\n"


async def test_variables_for_one_command(any_sandbox: Sandbox) -> None:
    await any_sandbox.execute("export A=carried")
    result = await any_sandbox.execute('echo "$A"; export B=1', env={"A": "it's $one\ntwo"})
    assert result.output == "it's $one\ntwo\n"
    assert (await any_sandbox.execute('echo "$A ${B-unset}"')).output == "carried unset\n"


async def test_a_shell_that_is_killed_carries_nothing_and_harms_nothing(
    any_sandbox: Sandbox,
) -> None:
    await any_sandbox.execute("export A=1")
    await any_sandbox.execute("cd /; export A=2; kill -KILL $$")
    result = await any_sandbox.execute('pwd; echo "$A"')
    assert result.output == f"{any_sandbox.workdir}\n1\n"


async def test_a_directory_that_is_gone(any_sandbox: Sandbox) -> None:
    await any_sandbox.execute("mkdir gone; cd gone; rmdir ../gone")
    result = await any_sandbox.execute("pwd")
    assert f"is gone: running in {any_sandbox.workdir}" in result.output
    assert result.cwd == any_sandbox.workdir


async def test_our_own_files_in_there_may_be_destroyed(sandbox: Sandbox) -> None:
    state = sandbox.state_dir
    await sandbox.execute("export A=1")
    await sandbox.execute(f"rm -rf {state}/* ~/* ~/.[a-z]* /tmp/*; mkfifo {state}/variables.new")
    assert (await sandbox.execute("echo $A", timeout_s=20)).output == "1\n"
    await sandbox.execute(f"rm {state}/variables; ln -s /dev/zero {state}/variables; kill -9 $$")
    assert (await sandbox.execute('echo "${A-unset}"', timeout_s=20)).output == "unset\n"


async def test_nothing_waits_for_input_and_nothing_pages(any_sandbox: Sandbox) -> None:
    result = await any_sandbox.execute("cat; read -r x; echo $?; tty; echo $PAGER $GIT_PAGER")
    assert result.output.split() == ["1", "not", "a", "tty", "cat", "cat"]


async def test_output_arrives_while_the_command_runs(any_sandbox: Sandbox) -> None:
    seen: list[str] = []
    first = asyncio.Event()

    def see(text: str) -> None:
        seen.append(text)
        first.set()

    running = asyncio.create_task(
        any_sandbox.execute("echo first; sleep 3; echo last", on_output=see)
    )
    await first.wait()
    assert not running.done()
    assert (await running).output == "".join(seen) == "first\nlast\n"


async def test_characters_that_span_chunks_and_bytes_that_are_none(any_sandbox: Sandbox) -> None:
    seen: list[str] = []
    command = r"printf '\xe2\x82'; sleep 0.3; printf '\xac|\xff\xfe\x00|'; head -c 9 /dev/urandom"
    result = await any_sandbox.execute(command, on_output=seen.append)
    assert result.output.startswith("€|\ufffd\ufffd\0|")
    assert result.output == "".join(seen)
    assert result.output_bytes == 17


async def test_long_output_keeps_both_ends_and_a_file(any_sandbox: Sandbox) -> None:
    result = await any_sandbox.execute("seq 1 200000")
    assert result.truncated
    assert result.output.startswith("1\n2\n")
    assert result.output.endswith("\n199999\n200000\n")
    assert result.output.count("bytes left out") == 1
    assert len(result.output) < 600_000
    paged = await any_sandbox.execute(f"sed -n '100000p;$=' {result.full_output_path}")
    assert paged.output == "100000\n200000\n"


async def test_git_and_python_are_ready(sandbox: Sandbox) -> None:
    result = await sandbox.execute(
        "git init -q . && echo 'def test(): assert 1' > test_a.py && git add . && "
        "git commit -qm x && git log --format=%an && python -m pytest -q test_a.py && "
        "git status --short --ignored"
    )
    assert result.exit_code == 0, result.output
    assert result.output.startswith("rnj-agent\n")
    assert "1 passed" in result.output
    assert "__pycache__" not in result.output


async def test_two_commands_at_once_wait_for_each_other(any_sandbox: Sandbox) -> None:
    results = await asyncio.gather(
        any_sandbox.execute("sleep 0.2; echo a"),
        any_sandbox.execute("echo b"),
        any_sandbox.write_file("c", b"c"),
    )
    assert [result.output for result in results[:2]] == ["a\n", "b\n"]
    assert await any_sandbox.read_file("c") == b"c"
