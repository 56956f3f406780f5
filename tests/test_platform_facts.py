"""What exports of platform usage come to: literal lines in, literal facts out.

Not here: the whole simulated organization, and Dagster (test_platform_assets.py).
"""

from collections import defaultdict

import pytest

from tests.platform_cases import CASES, Case
from tests.platform_folder import Exports
from tests.sandbox.platform_exports import Row, write_rows


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """Every case in an organization of its own: landed and built step by step."""
    here = Exports.in_folder(tmp_path_factory.mktemp("exports"))
    for step in range(max(len(case.steps) for case in CASES)):
        files: dict[str, list[Row]] = defaultdict(list)
        for case in CASES:
            org_id = org_of(case)
            for name, lines in (case.steps[step] if step < len(case.steps) else {}).items():
                path = f"{org_id}/{name}" if case.apart else name
                if lines is None:
                    (here.folder / path).unlink()
                else:
                    files[path] += [line.row(org_id) for line in lines]
        for path, rows in files.items():
            write_rows(here.folder / path, rows, "csv")
        assert not here.land().failures
        here.build()
    return here


def org_of(case: Case) -> str:
    """The organization of a case."""
    return f"org-{CASES.index(case)}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sentence)
def test_exports_come_to_these_facts(exports: Exports, case: Case) -> None:
    """The sentence of the case."""
    assert tuple(exports.facts(org_of(case))) == case.facts
