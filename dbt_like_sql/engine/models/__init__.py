"""Every model of a folder, in order. The README.md of dbt_like_sql has the format.

Reading them takes half a second of CPU, so what was read is kept by the content of all it was made
from: in the process, and in a file beside the warehouse.
"""

import contextlib
import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import msgspec

from dbt_like_sql.engine.models.model import SCHEMAS, Model, ModelError
from dbt_like_sql.engine.seeds import content_hash, seed_files

__all__ = ["PACKAGE_FOLDER", "SCHEMAS", "Model", "ModelError", "load_models"]

PACKAGE_FOLDER = Path(__file__).parents[2]


class _Files(NamedTuple):
    """All that models are made from: text by path of each schema, hash by name of each seed."""

    texts: tuple[tuple[str, Path, str], ...]
    seeds: tuple[tuple[str, str], ...]


_known: dict[_Files, tuple[Model, ...]] = {}


class _Kept(NamedTuple):
    """What stands in the file: models in order, and what they were made from."""

    key: str
    models: tuple[Model, ...]


def load_models(folder: Path = PACKAGE_FOLDER, keep_in: Path | None = None) -> dict[str, Model]:
    """All models below `folder`, by name, inputs before readers; ModelError names file and line.

    `keep_in` is a file that spares the next process the reading; it may be deleted at any time.
    """
    texts = tuple(
        (schema, path, path.read_text(encoding="utf-8"))
        for schema in SCHEMAS
        for path in sorted((folder / schema).rglob("*.sql"))
    )
    seeds = tuple((name, content_hash(path)) for name, path in seed_files(folder).items())
    files = _Files(texts, seeds)
    if files not in _known:
        _known[files] = _kept(files, keep_in) if keep_in else _read(files)
    return {model.name: model for model in _known[files]}


def _kept(files: _Files, keep_in: Path) -> tuple[Model, ...]:
    """What is in the file, or else read and put there."""
    key = _key(files)
    with contextlib.suppress(OSError, msgspec.DecodeError):
        kept = msgspec.json.decode(keep_in.read_bytes(), type=_Kept, dec_hook=_path)
        if kept.key == key:
            return kept.models
    models = _read(files)
    with contextlib.suppress(OSError):  # a folder that cannot be written to, a full disk
        draft = Path(f"{keep_in}.draft")
        draft.write_bytes(msgspec.json.encode(_Kept(key, models), enc_hook=str))
        draft.replace(keep_in)
    return models


def _read(files: _Files) -> tuple[Model, ...]:
    # not above: to import the parser takes as long as a build of nothing
    from dbt_like_sql.engine.models.project import read_models

    return tuple(read_models(files.texts, dict(files.seeds)))


def _key(files: _Files) -> str:
    """The same for as long as the same files are read by the same code."""
    code = "".join(content_hash(path) for path in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256(f"{files}{code}{version('sqlglot')}".encode()).hexdigest()


def _path(kind: type, value: str) -> Path:
    return Path(value)
