"""The import rule: who may know of whom, held over the syntax trees of the product."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = ("pipelines", "assets", "dbt_like_sql")
FILES = sorted(path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py"))
KNOW_DAGSTER = ("raw", "models", "automation", "runs", "definitions")
DAGSTER_FILES = {f"assets/{name}.py" for name in KNOW_DAGSTER}
# a vendor is a module of pipelines/ and what belongs to it by name: neon.py, neon_shapes.py
SHARED = {"http", "decode", "load", "windows"}


def name_of(path: Path) -> str:
    """The path below the repository."""
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it; `from a import b` gives a and a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def packages(path: Path) -> set[str]:
    """The first parts of what a file imports."""
    return {module.partition(".")[0] for module in imported(path)}


def is_environment(node: ast.AST | None) -> bool:
    """Whether it is os.environ or os.getenv."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    )


def environment_writers(path: Path) -> dict[int, str]:
    """The lines of `os.environ[name] = value`, and what they write."""
    return {
        node.lineno: ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Subscript)
        and is_environment(node.targets[0].value)
    }


def environment_readers(path: Path) -> list[int]:
    """The lines with os.environ or os.getenv that do not just write."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.expr)
        and is_environment(node)
        and node.lineno not in environment_writers(path)
    ]


def test_there_is_something_to_look_at() -> None:
    """All three folders have files."""
    assert {name_of(path).partition("/")[0] for path in FILES} == set(PRODUCT)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    """pipelines and dbt_like_sql know of nobody, assets of both, and nothing of tests."""
    folder = name_of(path).partition("/")[0]
    allowed = set(PRODUCT) if folder == "assets" else {folder}
    assert packages(path) & {*PRODUCT, "tests"} <= allowed


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_five_files_know_of_dagster(path: Path) -> None:
    """Everything else works without it."""
    if name_of(path) not in DAGSTER_FILES:
        assert not {name for name in packages(path) if name.startswith("dagster")}


def test_vendors_do_not_know_of_each_other() -> None:
    """A module of pipelines imports shared modules and those of its own vendor."""
    for path in sorted((ROOT / "pipelines").glob("*.py")):
        vendor = path.stem.partition("_")[0]
        known = {m.split(".")[1] for m in imported(path) if m.startswith("pipelines.")}
        own = set() if path.stem in SHARED else {n for n in known if n.partition("_")[0] == vendor}
        assert known <= SHARED | own, name_of(path)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_settings_reads_the_environment(path: Path) -> None:
    """assets/settings.py reads it; assets/cli.py hands it on to a command in the sandbox."""
    name = name_of(path)
    if name == "assets/cli.py":
        source = ast.parse(path.read_text(encoding="utf-8"))
        (sandbox,) = (
            node
            for node in ast.walk(source)
            if isinstance(node, ast.FunctionDef) and node.name == "sandbox"
        )
        inside = range(sandbox.lineno, (sandbox.end_lineno or sandbox.lineno) + 1)
        assert set(environment_readers(path)) <= set(inside)
    elif name != "assets/settings.py":
        assert environment_readers(path) == []


def test_settings_reads_the_environment() -> None:
    """The search above finds what it looks for."""
    assert environment_readers(ROOT / "assets" / "settings.py")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_but_dlts_telemetry_is_written_into_the_environment(path: Path) -> None:
    """Before any module that may import dlt: what imports one of pipelines/ runs its __init__."""
    is_init = name_of(path) == "pipelines/__init__.py"
    expected = ["os.environ['RUNTIME__DLTHUB_TELEMETRY'] = 'false'"] if is_init else []
    assert list(environment_writers(path).values()) == expected
