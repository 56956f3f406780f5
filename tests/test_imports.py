"""The import rule: who may know of whom, held over the syntax trees of the product."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PRODUCT = ("pipelines", "assets", "dbt_like_sql")
FILES = sorted(path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py"))
KNOW_DAGSTER = ["raw_assets", "model_assets", "automation", "definitions", "alerts/automation"]
KNOW_DAGSTER += [f"catalog/{path.stem}" for path in (ROOT / "assets" / "catalog").glob("*.py")]
DAGSTER_FILES = {f"assets/{name}.py" for name in KNOW_DAGSTER}
# every folder of pipelines/ is a vendor but that of the way out to them
VENDORS = {path.parent.name for path in (ROOT / "pipelines").glob("*/slices.py")}
NAMES = {"neon", "forge", "bitbucket", "atlassian"}


def name_of(path: Path) -> str:
    """The path below the repository."""
    return path.relative_to(ROOT).as_posix()


def is_shared(path: Path) -> bool:
    """Whether it is no vendor's: neither in its folder nor where they are listed."""
    return name_of(path) != "assets/sources.py" and not VENDORS & set(path.relative_to(ROOT).parts)


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it; `from a import b` gives a and a.b."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
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
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Subscript)
        and is_environment(node.targets[0].value)
    }


def environment_readers(path: Path) -> list[int]:
    """The lines with os.environ or os.getenv that do not just write."""
    return [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.expr)
        and is_environment(node)
        and node.lineno not in environment_writers(path)
    ]


def test_there_is_something_to_look_at() -> None:
    """All three folders have files."""
    assert {name_of(path).partition("/")[0] for path in FILES} == set(PRODUCT)


def found(paths: Iterable[Path], look: Callable[[Path], Any]) -> dict[str, Any]:
    """What there is in files that is not to be there, by their names."""
    return {name_of(path): there for path in paths if (there := look(path))}


def test_imports_run_one_way() -> None:
    """pipelines and dbt_like_sql know of nobody, assets of both, and nothing of tests."""

    def others(path: Path) -> set[str]:
        folder = name_of(path).partition("/")[0]
        allowed = set(PRODUCT) if folder == "assets" else {folder}
        return packages(path) & {*PRODUCT, "tests"} - allowed

    assert found(FILES, others) == {}


def test_few_files_know_of_dagster() -> None:
    """Everything else works without it."""

    def of_dagster(path: Path) -> set[str]:
        return {name for name in packages(path) if name.startswith("dagster")}

    assert found(FILES, of_dagster).keys() <= DAGSTER_FILES


def test_vendors_do_not_know_of_each_other() -> None:
    """A module of a vendor imports shared modules and its own; a shared one imports no vendor."""

    def others(path: Path) -> set[str]:
        known = {m.split(".")[1] for m in imported(path) if m.startswith("pipelines.")}
        return known & VENDORS - {path.relative_to(ROOT / "pipelines").parts[0]}

    assert found((ROOT / "pipelines").rglob("*.py"), others) == {}


def code_words(path: Path) -> set[str]:
    """The words of a module's names and strings, docstrings left out: what it does, in words."""
    tree = tree_of(path)
    said = [
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node)
        and isinstance(node.body[0], ast.Expr)
    ]
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in said
    ]
    texts += [
        str(getattr(node, field))
        for node in ast.walk(tree)
        for field in ("id", "attr", "name", "arg", "module")
        if isinstance(getattr(node, field, None), str)
    ]
    return set(re.findall(r"[a-z]+", " ".join(texts).lower()))


def test_shared_code_names_no_vendor() -> None:
    """Whoever adds a vendor changes a folder and a line of assets/sources.py."""
    assert found(filter(is_shared, FILES), lambda path: code_words(path) & NAMES) == {}


def test_nothing_is_imported_in_a_circle() -> None:
    """Not even inside functions."""
    module_of = {name_of(p).removesuffix(".py").replace("/", "."): p for p in FILES}
    module_of = {name.removesuffix(".__init__"): path for name, path in module_of.items()}
    graph = {name: imported(path) & module_of.keys() for name, path in module_of.items()}
    assert list(TopologicalSorter(graph).static_order())


def test_a_package_is_found_one_s_way_in() -> None:
    """At most ten modules in any, beside its __init__."""
    counts = Counter(path.parent for path in FILES if path.name != "__init__.py")
    assert {name_of(folder): n for folder, n in counts.items() if n > 10} == {}


def test_only_settings_reads_the_environment() -> None:
    """assets/settings.py reads it; assets/cli.py hands it on to a command in the sandbox."""
    lines = found(FILES, environment_readers)
    assert lines.keys() == {"assets/cli.py", "assets/settings.py"}
    source = tree_of(ROOT / "assets" / "cli.py")
    (sandbox,) = (
        node
        for node in ast.walk(source)
        if isinstance(node, ast.FunctionDef) and node.name == "sandbox"
    )
    inside = range(sandbox.lineno, (sandbox.end_lineno or sandbox.lineno) + 1)
    assert {*lines["assets/cli.py"]} <= {*inside}


def test_nothing_but_dlts_telemetry_is_written_into_the_environment() -> None:
    """Before any module that may import dlt: what imports one of pipelines/ runs its __init__."""
    written = found(FILES, lambda path: [*environment_writers(path).values()])
    telemetry = "os.environ['RUNTIME__DLTHUB_TELEMETRY'] = 'false'"
    assert written == {"pipelines/__init__.py": [telemetry]}
