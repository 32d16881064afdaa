"""Jinja for chat templates: what Hugging Face offers them, in a sandbox with a budget.

A template comes with a checkpoint and is not ours: it must not reach Python's insides (Jinja's
sandbox), run for ever or fill the memory (the budget). Not covered: one single string operation
that makes gigabytes out of megabytes of its own input, such as ``replace``.

What templates may use follows transformers' ``render_jinja_template``: ``trim_blocks``,
``lstrip_blocks``, ``tojson`` without sorting or escaping, ``raise_exception``, ``strftime_now``,
``break`` and ``continue``, and a ``generation`` block, which marks text for training.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sized
from datetime import date
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateRuntimeError, TemplateSyntaxError
from jinja2.ext import Extension
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rnj_agent.runtime.errors import TemplateError

MAX_STEPS = 500_000
"""Iterations of loops and calls in one rendering."""
MAX_CHARS = 200_000_000
"""Characters (or list items) made in one rendering, intermediate values included."""
MAX_INTEGER_ARGUMENT = 100_000
"""Widths, counts and ranges."""
PYTHON_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a broken template can raise besides Jinja's own errors; recursion is a RuntimeError."""


class SandboxedTemplate:
    """A compiled template. Renders one conversation at a time, whatever the number of threads.

    Raises:
        TemplateError: it is no valid Jinja.
    """

    def __init__(self, source: str, *, today: Callable[[], date] = date.today) -> None:
        self.source = source
        self._sandbox = TemplateSandbox()
        self._lock = threading.Lock()
        try:
            self._template = self._sandbox.from_string(source, globals=_functions(today))
            self._variables = find_undeclared_variables(self._sandbox.parse(source))
        except TemplateSyntaxError as exc:
            raise TemplateError(f"the chat template is broken, line {exc.lineno}: {exc}") from exc
        except (jinja2.TemplateError, *PYTHON_ERRORS) as exc:
            raise TemplateError(f"the chat template is broken: {exc}") from exc

    def reads(self, variable: str) -> bool:
        return variable in self._variables

    def render(self, variables: Mapping[str, Any]) -> str:
        """Render the template.

        Raises:
            TemplateError: it fails, refuses, or exceeds its budget.
        """
        with self._lock:
            self._sandbox.refill()
            try:
                return "".join(map(self._sandbox.charge, self._template.generate(variables)))
            except SecurityError as exc:
                raise TemplateError(f"the chat template is not allowed to: {exc}") from exc
            except jinja2.TemplateError as exc:
                raise TemplateError(f"the chat template refuses this conversation: {exc}") from exc
            except PYTHON_ERRORS as exc:
                raise TemplateError(f"the chat template fails: {exc!r:.500}") from exc


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """One rendering at a time: the budget is the environment's."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[GenerationBlock, "jinja2.ext.loopcontrols"],
        )
        self.refill()
        self.filters = {name: self._bounded(do) for name, do in self.filters.items()}
        self.filters |= {"tojson": self._bounded(_to_json), _COUNTED: self._counted}
        del self.filters["format"], self.globals["lipsum"]

    def refill(self) -> None:
        """Call before each rendering."""
        self._steps_left = MAX_STEPS
        self._chars_left = MAX_CHARS

    def charge(self, value: Any) -> Any:
        """Pay for a value that the template made.

        Raises:
            SecurityError: the budget is used up.
        """
        self._pay(_size(value))
        return value

    def _pay(self, chars: int) -> None:
        self._chars_left -= chars
        if self._chars_left < 0:
            raise SecurityError(f"make more than {MAX_CHARS:,} characters")

    def _step(self, count: int = 1) -> None:
        self._steps_left -= count
        if self._steps_left < 0:
            raise SecurityError(f"take more than {MAX_STEPS:,} steps")

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse, and meter loops and ``~``, for which Jinja has no hook."""
        template = super()._parse(source, name, filename)
        for loop in template.find_all(nodes.For):
            constants = nodes.Const(
                sum(len(data.data) for data in loop.find_all(nodes.TemplateData))
            )
            loop.iter = nodes.Filter(loop.iter, _COUNTED, [constants], [], None, None)
        for concat in template.find_all(nodes.Concat):
            concat.nodes = [
                nodes.Filter(node, "string", [], [], None, None) for node in concat.nodes
            ]
        return template

    def _counted(self, values: Iterable[Any], constant_chars: int) -> Iterable[Any]:
        """What a loop runs over, paid for before it starts."""
        known = values if isinstance(values, Sized) else list(values)
        self._step(1 + len(known))
        self._pay(len(known) * constant_chars)
        return known

    def _bounded(self, do: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(do)
        def bounded(*args: Any, **kwargs: Any) -> Any:
            self._step()
            _check_integers((*args, *kwargs.values()))
            return self.charge(do(*args, **kwargs))

        return bounded

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        self._step()
        _check_integers((*args, *kwargs.values()))
        return self.charge(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            raise SecurityError("format text with %")
        if operator in {"*", "**"}:  # a power of an integer has that many times its bits
            product = _size(left) * right if isinstance(right, int) else left * _size(right)
            self._pay(min(abs(int(product)), MAX_CHARS + 1))
        return self.charge(super().call_binop(context, operator, left, right))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        if super().wrap_str_format(value) is not None:
            raise SecurityError("use str.format")
        return None


def _functions(today: Callable[[], date]) -> dict[str, Callable[[str], str]]:
    def raise_exception(message: str) -> NoReturn:
        raise TemplateRuntimeError(str(message))

    def strftime_now(style: str) -> str:
        # a date, no clock: the same conversation must render the same all day
        return today().strftime(style)

    return {"raise_exception": raise_exception, "strftime_now": strftime_now}


class GenerationBlock(Extension):
    """``{% generation %}...{% endgeneration %}``: rendered as if the tags were not there."""

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        self.tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


_COUNTED = "counted by the sandbox"


def _size(value: Any) -> int:
    match value:
        case bool():
            return 1
        case int():
            return value.bit_length()
        case str() | bytes() | list() | tuple() | dict():
            return len(value)
        case _:
            return 1


def _check_integers(arguments: Iterable[Any]) -> None:
    for argument in arguments:
        if isinstance(argument, int) and abs(argument) > MAX_INTEGER_ARGUMENT:
            raise SecurityError(f"use the number {argument:,}")


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    if indent is not None and indent > 16:
        raise SecurityError(f"indent JSON by {indent}")
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
