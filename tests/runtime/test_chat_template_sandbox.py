"""Templates come with checkpoints: they get what Hugging Face gives them, and no more."""

from __future__ import annotations

import time

import pytest

from rnj_agent.runtime.errors import TemplateError
from rnj_agent.runtime.template_sandbox import SandboxedTemplate

DOUBLING = (
    "{%% set n = namespace(x='ab') %%}{%% for i in range(60) %%}{%% set n.x = %s %%}{%% endfor %%}"
)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ range(10 ** 9) }}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ [1] * 10 ** 9 }}",
        "{{ 9 ** 99999 ** 99999 }}",
        "{{ 'x' | center(10 ** 9) }}",
        "{{ 'x'.ljust(10 ** 9) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ [1] | tojson(indent=1000000) }}",
        "{{ lipsum(100000) }}",
        DOUBLING % "n.x + n.x",
        DOUBLING % "n.x ~ n.x",
        DOUBLING.replace("'ab'", "7") % "n.x * n.x",
        "{% set x %}{% for i in range(99999) %}" + "x" * 9999 + "{% endfor %}{% endset %}",
        "{% for i in range(99999) %}" + "x" * 9999 + "{% endfor %}",
    ],
)
def test_what_would_never_end_or_fill_the_memory_is_an_error(source: str) -> None:
    started = time.process_time()
    with pytest.raises(TemplateError):
        SandboxedTemplate(source).render({})
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    "source",
    [
        "{{ ().__class__.__base__.__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ messages.__init__.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ raise_exception('roles must alternate') }}",
        "{{ undefined.attribute }}",
        "{{ 1 / 0 }}",
        "{{ [1][5] + 1 }}",
        "{% for %}",
        "{{ " + "(" * 3000 + ")" * 3000 + " }}",
        "{{ 'x' | no_such_filter }}",
    ],
)
def test_what_is_forbidden_or_broken_is_an_error(source: str) -> None:
    with pytest.raises(TemplateError):
        SandboxedTemplate(source).render({"messages": [1]})


def test_a_refusal_carries_the_template_s_words() -> None:
    with pytest.raises(TemplateError, match="roles must alternate"):
        SandboxedTemplate("{{ raise_exception('roles must alternate') }}").render({})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% for i in range(9) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "012"),
        ("{% for i in [1, 2] %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "2"),
        ("a{% generation %}{{ x }}{% endgeneration %}b", "a1b"),
        ("{{ {'b': 'é<', 'a': none} | tojson }}", '{"b": "é<", "a": null}'),
        ("{{ [1] | tojson(indent=2) }}", "[\n  1\n]"),
        ("  {% if x %}\n  y\n  {% endif %}\nz", "  y\nz"),
        ("{% for a in 'ab' %}{{ loop.last }} {{ loop.length }};{% endfor %}", "False 2;True 2;"),
        ("{% for k, v in {'a': 1}.items() %}{{ k ~ v ~ 'x' }}{% endfor %}", "a1x"),
        ("{{ messages | map(attribute='r') | join(',') }}{{ messages[::-1][0].r }}", "1,22"),
        ("{% set n = namespace() %}{% for m in [2] %}{% set n.i = m %}{% endfor %}{{ n.i }}", "2"),
        ("{{ 7 % 2 }}{{ 2 ** 3 }}{{ 'ab' * 2 }}", "18abab"),
        ("{{ ' x '.strip() }}{{ 'a-b'.split('-')[-1] }}", "xb"),
        ("{{ x is defined }}{{ y is defined }}{{ y | default('d') }}", "TrueFalsed"),
    ],
)  # fmt: skip
def test_what_templates_use_works(source: str, expected: str) -> None:
    variables = {"x": 1, "messages": [{"r": 1}, {"r": 2}]}
    assert SandboxedTemplate(source).render(variables) == expected


def test_the_budget_is_for_each_rendering() -> None:
    template = SandboxedTemplate("{% for i in range(99999) %}{% endfor %}ok")
    assert {template.render({}) for _ in range(8)} == {"ok"}
