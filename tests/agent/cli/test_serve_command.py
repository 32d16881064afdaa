"""``rnj-agent serve``: its help, what it refuses, and what it hands on."""

from __future__ import annotations

from dataclasses import fields

import click
import pytest
from click.testing import CliRunner

from rnj_agent.agent.cli.serve import command
from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.server.options import ServeOptions, parse_args

INTERNAL = {"idle_exit_s", "ready_file"}
"""For agents that start a server of their own."""


def test_help_fits_eighty_columns_and_names_every_option() -> None:
    text = CliRunner().invoke(command, ["--help"], terminal_width=80).output
    assert max(map(len, text.splitlines())) <= 80
    for name in ("--uds", "--kv-memory-gib", "--kv-dtype", "--max-num-seqs", "--max-queue"):
        assert name in text
    assert "--no-speculation" in text
    assert "--no-guided" in text


def test_the_command_offers_what_the_server_can_be_asked_for() -> None:
    names = {parameter.name for parameter in command.params}
    assert names == {field.name for field in fields(ServeOptions)} - INTERNAL | {"api_key_file"}


def test_defaults_are_the_servers_own() -> None:
    context = command.make_context("serve", [])
    given = {name: value for name, value in context.params.items() if name != "api_key_file"}
    assert ServeOptions(**given) == parse_args(["--model", given["model"]])


def test_switches_are_understood_alike() -> None:
    argv = ["--no-guided", "--no-speculation", "--max-queue", "3", "--kv-dtype", "int8"]
    given = dict(command.make_context("serve", [*argv]).params)
    del given["api_key_file"]
    options = ServeOptions(**given)
    assert options == parse_args(["--model", options.model, *argv])
    assert not options.guided
    assert not options.speculation


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--host", "0.0.0.0"], "no key is set"),
        (["--max-queue", "-1"], "--max-queue -1"),
        (["--max-num-seqs", "0"], "--max-num-seqs 0"),
        (["--kv-memory-gib", "nan"], "--kv-memory-gib nan"),
        (["--kv-memory-gib", "-2"], "--kv-memory-gib -2"),
        (["--context", "1"], "--context 1"),
        (["--port", "70000"], "--port 70000"),
    ],
)
def test_what_cannot_be_is_refused_before_a_model_is_looked_for(
    argv: list[str], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        command.main([*argv, "--model", "no-such-model"], standalone_mode=False)


def test_an_unknown_kv_dtype_is_a_usage_error() -> None:
    with pytest.raises(click.BadParameter):
        command.make_context("serve", ["--kv-dtype", "fp4"])
