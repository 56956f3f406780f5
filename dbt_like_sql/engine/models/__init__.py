"""Every model of a folder, in order. The README.md of dbt_like_sql has the format.

Reading them takes a second of CPU, so what was read is kept by the content of all it was made
from: in the process, and in a file beside the warehouse.
"""

import contextlib
import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import msgspec

from dbt_like_sql.engine.models.model import SCHEMAS, Model, ModelError, fingerprinted
from dbt_like_sql.engine.seeds import NONE, Own, seed_columns, seed_files, seed_hash
from dbt_like_sql.engine.words import in_place_of

__all__ = ["PACKAGE_FOLDER", "SCHEMAS", "Model", "ModelError", "load_models"]

PACKAGE_FOLDER = Path(__file__).parents[2]
_Read = tuple[Model, ...]
_Texts = list[tuple[str, Path, str]]
_known: dict[str, _Read] = {}


def load_models(
    folder: Path = PACKAGE_FOLDER, keep_in: Path | None = None, own_seeds: Own = NONE
) -> dict[str, Model]:
    """All models below `folder`, by name, inputs before readers; ModelError names file and line.

    `keep_in` is a file that spares the next process the reading; it may be deleted at any time.
    """
    files = seed_files(folder, own_seeds)
    texts = _texts(folder)
    key = _key(texts, files)
    models = _known.get(key) or (_kept(key, keep_in) if keep_in else None)
    if models is None:
        models = _read(texts, files)
        if keep_in:
            _keep(key, models, keep_in)
    _known[key] = models
    seeds = {name: seed_hash(path) for name, path in files.items()}
    return {model.name: model for model in fingerprinted(models, seeds)}


def _texts(folder: Path) -> _Texts:
    return [
        (schema, path, path.read_text(encoding="utf-8"))
        for schema in SCHEMAS
        for path in sorted((folder / schema).rglob("*.sql"))
    ]


def _key(texts: _Texts, files: Own) -> str:
    # the rows of a seed are in fingerprints alone: another price is no reason to read all again
    columns = {name: [*seed_columns(path)] for name, path in files.items()}
    return hashlib.sha256(f"{texts} {columns} {_code()}".encode()).hexdigest()


def _read(texts: _Texts, seeds: dict[str, Path]) -> _Read:
    # not above: to import the parser takes as long as a build of nothing
    from dbt_like_sql.engine.models.lineage import traced
    from dbt_like_sql.engine.models.project import read_models

    return tuple(traced({model.name: model for model in read_models(texts, seeds.keys())}, seeds))


def _kept(key: str, file: Path) -> _Read | None:
    with contextlib.suppress(OSError):
        found, _, text = file.read_bytes().partition(b"\n")
        if found == _seal(key, text):
            return msgspec.json.decode(text, type=_Read, dec_hook=lambda _, path: Path(path))
    return None


def _keep(key: str, models: _Read, file: Path) -> None:
    # a folder may be one that cannot be written to, and a disk be full
    with contextlib.suppress(OSError), in_place_of(file) as draft:
        text = msgspec.json.encode(models, enc_hook=str)
        draft.write_bytes(_seal(key, text) + b"\n" + text)


def _seal(key: str, text: bytes) -> bytes:
    """What tells that it is of these models, and as it was written: a disk may have changed it."""
    return hashlib.sha256(key.encode() + text).hexdigest().encode()


@cache
def _code() -> str:
    """The same for as long as files are read by the same code."""
    own = [path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    return f"{version('sqlglot')} {own}"
