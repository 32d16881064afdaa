"""What an image is built from, and how it is named, without an engine."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from rnj_agent.agent.errors import ConfigError
from rnj_agent.agent.swebench.images.built import BuiltImages, write_context
from rnj_agent.agent.swebench.images.mirror import pack_commit, repository_url
from rnj_agent.agent.swebench.images.overrides import Override, Overrides
from rnj_agent.agent.swebench.images.pip_settings import host_pip_settings, parse_config_list
from rnj_agent.agent.swebench.images.pulled import PulledImages
from rnj_agent.agent.swebench.images.recipe import make_recipe, read_template
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.sandbox.errors import ImageMissingError

EXAMPLE = Path(__file__).parents[3] / "examples" / "swebench" / "overrides.toml"
OVERRIDES = """
["tiny/calc"]
pip_packages = ["pytest<8", "numpy"]
install = ["make install"]
["tiny__calc-1"]
pip_packages = ["pytest==7.4.4"]
environment = {LANG = "C.UTF-8"}
"""


def instance(name: str = "tiny__calc-1", **changes: str) -> Instance:
    return Instance(
        instance_id=name,
        repo="tiny/calc",
        base_commit="0" * 40,
        problem_statement="add subtracts",
    ).model_copy(update=changes)


def test_an_instance_s_keys_go_before_its_repository_s(tmp_path: Path) -> None:
    path = tmp_path / "overrides.toml"
    path.write_text(OVERRIDES)
    overrides = Overrides(path)
    both = overrides.for_instance(instance())
    assert both.pip_packages == ("pytest==7.4.4",)
    assert both.install == ("make install",)
    assert overrides.for_instance(instance("tiny__calc-2")).pip_packages == ("pytest<8", "numpy")
    assert overrides.for_instance(instance("x", repo="a/b")) == Override()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is not TOML"),
        ('["a/b"]\npackages = []', "a/b.packages"),
        ('["a/b"]\ninstall = ["a\\nRUN b"]', "a/b.install.0"),
        ("a = 3", ": a"),
    ],
)
def test_overrides_that_are_none_say_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "overrides.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        Overrides(path)
    assert said in raised.value.message


def test_the_shipped_example_is_read() -> None:
    pinned = Overrides(EXAMPLE).for_instance(instance("x", repo="pydicom/pydicom"))
    assert pinned != Override()


def test_the_shipped_template_has_every_step_in_order() -> None:
    override = Override(
        pip_packages=("pytest<8", "a[b]"),
        pre_install=("sed -i 's/a/b/' setup.py",),
        install=("make install",),
        environment={"GREETING": "good morning"},
    )
    dockerfile = make_recipe(read_template(None), instance(), override).dockerfile
    steps = [
        "pip install 'pytest<8' 'a[b]'",
        "ADD repository.tar /testbed/",
        "RUN sed -i 's/a/b/' setup.py",
        "RUN make install",
        "FROM ",
        "ENV GREETING='good morning'",
    ]
    places = [dockerfile.rindex(step) for step in steps]
    assert places == sorted(places)


def test_whatever_changes_the_image_changes_its_name() -> None:
    template = read_template(None)
    recipe = make_recipe(template, instance("Tiny__Calc-1"), Override())
    assert recipe.name.startswith("rnj-swebench/tiny__calc-1:")
    again = make_recipe(template, instance("Tiny__Calc-1"), Override())
    others = [
        make_recipe(template, instance("Tiny__Calc-1", base_commit="1" * 40), Override()),
        make_recipe(template, instance("Tiny__Calc-1"), Override(install=("make",))),
        make_recipe(f"{template}\n# mine", instance("Tiny__Calc-1"), Override()),
    ]
    assert again.name == recipe.name
    assert len({recipe.name, *(other.name for other in others)}) == 4


@pytest.mark.parametrize(
    ("name", "path"), [("a__b-1", "a__b-1"), ("A+b___c.", "a-b-c"), ("a--b..c", "a--b-c")]
)
def test_an_id_becomes_a_name_that_engines_take(name: str, path: str) -> None:
    recipe = make_recipe("FROM scratch", instance(name), Override())
    assert recipe.name.split(":")[0] == f"rnj-swebench/{path}"


@pytest.mark.parametrize("template", ["FROM {{ nothing }}", "FROM {% if %}"])
def test_a_malformed_template_is_refused(tmp_path: Path, template: str) -> None:
    path = tmp_path / "Dockerfile.j2"
    path.write_text(template)
    with pytest.raises(ConfigError, match="template is malformed"):
        BuiltImages(template=path).recipe_of(instance())
    with pytest.raises(ConfigError, match="cannot be read"):
        BuiltImages(template=tmp_path / "none")


def test_the_name_to_pull() -> None:
    default = "docker.io/swebench/sweb.eval.x86_64.tiny_1776_calc-1:latest"
    assert PulledImages().name_of(instance()) == default
    assert PulledImages().name_of(instance(image="mine:1")) == "mine:1"
    template = "registry/{repo}/{id_}:{version}"
    named = PulledImages(template).name_of(instance(image="mine:1", version="2"))
    assert named == "registry/tiny/calc/tiny_1776_calc-1:2"
    for malformed in ("{patch}", "{"):
        with pytest.raises(ConfigError, match="image template"):
            PulledImages(malformed)


def test_pip_settings_of_this_machine_travel_but_not_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text("certificates")
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://old.invalid/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:word@index.invalid/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels https://wheels.invalid file:///more")
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "ca.pem"))
    settings = host_pip_settings("/there")
    assert "index-url = https://user:word@index.invalid/simple\n" in settings.config
    assert "find-links = https://wheels.invalid\n" in settings.config
    assert "cert = /there/ca.pem\n" in settings.config
    assert settings.certificates == b"certificates"


def test_pip_s_list_is_read_in_pip_s_order() -> None:
    text = ":env:.timeout='9'\nglobal.timeout='1'\ninstall.trusted-host='a b'\nwheel.x='y'\n"
    assert parse_config_list(text) == {"timeout": "9", "trusted-host": "a b"}


@pytest.mark.parametrize("layout", ["tiny__calc", "tiny+calc/repo", "tiny/calc.git"])
def test_one_commit_leaves_a_mirror(tmp_path: Path, layout: str) -> None:
    mirror = tmp_path / "mirror"
    base = bare_clone(mirror / layout, tmp_path / "work")
    target = tmp_path / "repository.tar"
    pack_commit(repository_url("tiny/calc", mirror), base, target)
    with tarfile.open(target) as archive:
        archive.extractall(tmp_path / "testbed", filter="data")
    git(tmp_path / "testbed", "checkout", "-q", "-f", "HEAD", "--", ".")
    assert git(tmp_path / "testbed", "log", "--all", "--format=%H %s") == f"{base} base"
    assert git(tmp_path / "testbed", "status", "--porcelain") == ""
    assert git(tmp_path / "testbed", "for-each-ref") == ""
    assert "fix" not in git(tmp_path / "testbed", "fsck", "--lost-found", "--no-progress")
    with pytest.raises(ImageMissingError, match="cannot be fetched"):
        pack_commit(repository_url("tiny/calc", mirror), "1" * 40, target)
    with pytest.raises(ImageMissingError, match="no clone of tiny/other") as raised:
        repository_url("tiny/other", mirror)
    assert "git clone --bare https://github.com/tiny/other.git" in raised.value.hint


def test_the_context_of_a_build_is_complete(tmp_path: Path) -> None:
    recipe = make_recipe(read_template(None), instance(), Override())
    (tmp_path / "repository.tar").write_bytes(b"tar")
    context = io.BytesIO()
    write_context(recipe, tmp_path / "repository.tar", context)
    context.seek(0)
    with tarfile.open(fileobj=context) as archive:
        names = set(archive.getnames())
    copied = [
        line.split()[1] for line in recipe.dockerfile.splitlines() if line[:4] in {"COPY", "ADD "}
    ]
    for name in copied:
        assert name.startswith("--from") or any(found.startswith(name) for found in names), name


def bare_clone(place: Path, work: Path) -> str:
    """A clone with a commit and its future; the commit's id."""
    work.mkdir()
    git(work, "init", "-q")
    (work / "calc.py").write_text("x = 1\n")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "base")
    base = git(work, "rev-parse", "HEAD")
    git(work, "commit", "-q", "--allow-empty", "-m", "the fix")
    git(work, "tag", "fixed")
    place.parent.mkdir(parents=True)
    git(work, "clone", "-q", "--bare", str(work), str(place))
    return base


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    run = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return run.stdout.strip()
