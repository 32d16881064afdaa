"""The script of a row, and one for rows that bring none."""

from __future__ import annotations

import pytest

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.evaluation.script import script_of, with_exit_code
from rnj_agent.agent.swebench.instance import Instance
from tests.agent.swebench.judged_repository import TEST_PATCH

NEW_FILE = (
    "diff --git a/tests/data new.py b/tests/data new.py\nnew file mode 100644\n"
    "--- /dev/null\n+++ b/tests/data new.py\t\n@@ -0,0 +1 @@\n+x = 1\n"
)


def an_instance(
    *, test: str = "tests/test_calc.py::test_add", test_patch: str = TEST_PATCH, script: str = ""
) -> Instance:
    return Instance(
        instance_id="tiny__calc-1",
        repo="tiny/calc",
        base_commit="0" * 40,
        problem_statement="add subtracts",
        test_patch=test_patch,
        fail_to_pass=(test,),
        eval_script=script,
    )


def test_the_row_s_own_script_is_taken_as_it_is() -> None:
    assert script_of(an_instance(script="#!/bin/bash\ntrue\n")) == "#!/bin/bash\ntrue\n"


def test_the_status_is_noted_right_behind_the_tests() -> None:
    script = with_exit_code("pytest\n: '>>>>> End Test Output'\ngit checkout .")
    assert script.split("\n") == [
        "pytest",
        "RNJ_TEST_STATUS=$?",
        ": '>>>>> End Test Output'",
        'echo ">>>>> Test Exit Code: $RNJ_TEST_STATUS"',
        "git checkout .",
    ]
    assert with_exit_code("pytest") == "pytest"


def test_a_row_without_one_runs_pytest_on_the_files_of_its_test_patch() -> None:
    script = script_of(an_instance(test_patch=TEST_PATCH + NEW_FILE))
    assert "pytest -rA tests/test_calc.py 'tests/data new.py'" in script
    assert f"git checkout {'0' * 40} -- tests/test_calc.py\n" in script
    assert "rm -f -- 'tests/data new.py'\n" in script


def test_tests_of_another_runner_need_the_row_s_script() -> None:
    with pytest.raises(UsageError, match="no eval_script"):
        script_of(an_instance(test="test_widget (forms.tests.Widgets)"))


def test_a_test_patch_that_is_none_is_named() -> None:
    with pytest.raises(UsageError, match="test patch of tiny__calc-1"):
        script_of(an_instance(test_patch="what?"))
