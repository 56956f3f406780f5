"""The data dictionary: every table that readers get, its columns, promises, and what it is made of.

`python -m dbt_like_sql.dictionary` prints it as Markdown, for docs/dictionary.md.
"""

from collections.abc import Iterator

from dbt_like_sql.engine.checks import promises
from dbt_like_sql.engine.models import PACKAGE_FOLDER, Model, load_models
from dbt_like_sql.engine.seeds import seed_columns, seed_docs, seed_files

HEAD = """# Data dictionary

Made from the models by `make dictionary`; what the tables are for is in [tables.md](tables.md).
A column that is passed on keeps the comment of where it comes from."""
SAYS = {
    "grain": "One row per `{}`.",
    "check": "Of every row: `{}`.",
    "expect": "There should be {}.",
}


def dictionary() -> str:
    """All of it, as Markdown."""
    models = load_models()
    parts = [HEAD]
    for schema in ("marts", "reports"):
        parts.append(f"## {schema}")
        parts += [_of_model(m) for name, m in sorted(models.items()) if m.schema == schema]
    parts.append("## seeds")
    parts += [_of_seed(name) for name in sorted(seed_files(PACKAGE_FOLDER))]
    return "\n\n".join(parts) + "\n"


def _of_model(model: Model) -> str:
    made_of = ", ".join(f"`{name}`" for name in model.inputs)
    says = " ".join(SAYS[kind].format(text) for kind, text in promises(model))
    rows = (
        (name, model.column_docs.get(name, ""), _sources(model, name)) for name in model.columns
    )
    head = ("column", "what it is", "comes from")
    about = f"{model.description}\n\n{says} Made of {made_of}."
    return f"### {model.name}\n\n{about}\n\n{_table(head, rows)}"


def _sources(model: Model, column: str) -> str:
    return ", ".join(f"`{table}.{name}`" for table, name in model.lineage.get(column, ()))


def _of_seed(name: str) -> str:
    docs = seed_docs(name)
    columns = seed_columns(seed_files(PACKAGE_FOLDER)[name])
    rows = ((column, docs.get(column, ""), kind.lower()) for column, kind in columns.items())
    return f"### {name}\n\n{docs.get('', '')}.\n\n{_table(('column', 'what it is', 'type'), rows)}"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, str, str]]) -> str:
    lines = [head, ("---",) * len(head)]
    lines += [(f"`{name}`", about.replace("|", "\\|"), last) for name, about, last in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(dictionary(), end="")
