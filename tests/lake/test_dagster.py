"""Dagster on a lake: the sensor sees what landed, and a run builds it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.automation import build_what_landed
from assets.catalog.tables import model_key
from assets.definitions import defs
from pipelines.windows import Window, floor
from tests.conftest import Worlds
from tests.lake.conftest import Lakes, on_lake


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_landed_in_a_lake_is_built(
    worlds: Worlds, lakes: Lakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that the sensor asks for succeeds; and none of its events tells the password."""
    small: dict[str, Any] = {"projects": 2, "branches": 1, "orgs": 1, "apps": 0, "workspaces": 0}
    with (
        worlds.empty(tmp_path, now=None, oddities=False, **small) as on_file,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        here = on_lake(on_file, lakes, tmp_path)
        here.configure(monkeypatch)
        until = floor(here.company.now, "hourly")
        asked = Window("hourly", until - timedelta(hours=5), until)
        assert not here.land("neon_project_usage", asked).failures
        context = dg.build_sensor_context(instance, repository_def=defs.get_repository_def())
        (request,) = build_what_landed.evaluate_tick(context).run_requests or ()
        key = model_key("marts.fct_compute")
        result = defs.resolve_job_def("build").execute_in_process(
            instance=instance, tags=request.tags, asset_selection=[key], raise_on_error=False
        )
        assert result.success
        assert here.read("select count(*) > 0 from marts.fct_compute") == [(True,)]
        told = [f"{entry}" for entry in instance.all_logs(result.run_id)]
        assert told
        assert not [text for text in told if "sesame" in text]
