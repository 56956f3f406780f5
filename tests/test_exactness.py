"""Exactly-once effect, and exact numbers: the facts are the company's own, to the last digit."""

from tests.conftest import Open


def test_a_cold_load_gives_the_answer_key(world: Open) -> None:
    """Three grains loaded once and built: every fact row is the company's, and no other is there."""
    here = world()
    here.land_reach()
    here.build()
    assert here.facts() == here.expected()
