"""Where the next page is said to be is called otherwise, or not said at all: never a part for all.

Of each endpoint that has pages there are several; where they are told in another way the load is
refused in words, or is whole all the same.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.bitbucket.client import Bitbucket
from pipelines.http import VendorError
from pipelines.neon.client import PROJECTS_PER_PAGE, Neon
from tests.conftest import open_world
from tests.faults.front import Asked, Front, Reply
from tests.faults.test_matrix import PLACES, WINDOW, Place, Scene, trouble_and_healing, whose
from tests.faults.troubles import LOST_PAGES

# of each list more than a page
SEVERAL: dict[str, Any] = {"projects": 8, "branches": 3, "apps": 1, "sites": 3, "repositories": 8}
PAGES: dict[str, Any] = {
    **{"page_size_cap": 2, "bitbucket_page_size_cap": 3, "forge_page_size": 2},
    **{"meters_accounts": 130},
}
ONE_PAGE = ("neon_account_usage", "neon_organizations", "bitbucket_workspaces")
PAGED = [
    place for place in PLACES if place.table not in ONE_PAGE and place.part in ("", "list_accounts")
]
LOST = "names no next one"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One company for all."""
    folder, front = tmp_path_factory.mktemp("paging"), Front()
    with open_world(folder, **SEVERAL, **PAGES, front=front.before) as here:
        here.environment["FORGE_SITES_BY_ENVIRONMENT"] = "yes"
        yield Scene(here, front, folder, {})


@pytest.mark.slow
@pytest.mark.parametrize("place", [pytest.param(p, id=f"{p.table} {p.part}") for p in PAGED])
def test_no_page_is_lost_in_silence(scene: Scene, place: Place) -> None:
    """Everything by which pages are told, under another name."""
    assert trouble_and_healing(scene, place, LOST_PAGES) == {}


@pytest.fixture
def neon(scene: Scene) -> Iterator[Neon]:
    """A client of Neon, and no trouble afterwards."""
    found = Neon(scene.here.settings.accounts["neon"][0])
    scene.front.is_meant = lambda _: True
    yield found
    scene.front.clear()
    found.close()


@pytest.mark.parametrize("name", ["cursor", "pagination"])
def test_a_cursor_under_another_name_is_refused(scene: Scene, neon: Neon, name: str) -> None:
    """Of Neon's pages, which are smaller than asked for: what they say of more is not known."""
    scene.front.spoil = {trouble.name: trouble.spoil for trouble in LOST_PAGES}[f"{name} renamed"]
    with pytest.raises(VendorError, match=f"v2/projects of .*{LOST}.* untouched"):
        list(neon.project_usage(whose(scene.here)["org"], WINDOW))


@pytest.mark.parametrize(
    ("more", "is_told", "limits"),
    [
        ({}, True, [100]),
        ({"region": "eu"}, True, [100]),
        ({"page_count": 1}, True, [100, 99]),
        ({"page_count": 2}, False, [100, 99]),
        ({"pagination": {"after": "p"}}, False, [100, 99]),
    ],
)
def test_a_page_that_may_tell_of_more_is_proved_to_be_the_last(
    scene: Scene, neon: Neon, more: dict[str, Any], is_told: bool, limits: list[int]
) -> None:
    """A hundred projects, as many as are asked for, are a last page; one that says what is not
    known may be one whose cursor is gone: of 99 of them there has to be one."""
    asked_for = []

    def of_a_hundred(asked: Asked, reply: Reply) -> None:
        asked_for.append(int(asked.query["limit"][0]))
        projects = [{"project_id": f"p-{number}", "periods": []} for number in range(asked_for[-1])]
        is_last = asked_for[-1] == PROJECTS_PER_PAGE or not is_told
        reply.say({"projects": projects} | (more if is_last else {"pagination": {"cursor": "p"}}))

    scene.front.spoil = of_a_hundred
    pages = neon.project_usage(whose(scene.here)["org"], WINDOW)
    if is_told:
        assert len([*pages]) == 1
    else:
        with pytest.raises(VendorError, match=f"more than 99 items.*{LOST}"):
            list(pages)
    assert asked_for == limits


def test_a_full_page_of_bitbuckets_without_next_is_refused(scene: Scene) -> None:
    """Bitbucket says how much a page has, and need not say how much there is in all."""

    def without_next(asked: Asked, reply: Reply) -> None:
        reply.say({name: told for name, told in reply.json.items() if name not in ("next", "size")})

    scene.front.is_meant, scene.front.spoil = lambda _: True, without_next
    bitbucket = Bitbucket(scene.here.settings.accounts["bitbucket"][0])
    try:
        with pytest.raises(VendorError, match=f"repositories of .*more than 2 items.*{LOST}"):
            list(bitbucket.repositories(whose(scene.here)["workspace"]))
    finally:
        scene.front.clear()
        bitbucket.close()
