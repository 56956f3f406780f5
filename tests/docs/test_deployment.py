"""What docs/deployment/ has: units that systemd takes, and settings that Dagster starts with."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from tests.docs.pages import DOCS, ROOT
from tests.postgres import INITDB, postgres

DEPLOYMENT = DOCS / "deployment"
HOME = "/srv/meterhouse"


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """Also what they start is there, in a checkout that was set up."""
    verify = shutil.which("systemd-analyze")
    if not verify:
        pytest.skip("no systemd on this machine")
    for unit in DEPLOYMENT.glob("meterhouse-*"):
        (tmp_path / unit.name).write_text(unit.read_text().replace(HOME, f"{ROOT}"))
    done = subprocess.run(
        [verify, "verify", "--man=no", *map(str, tmp_path.iterdir())],
        capture_output=True,
        text=True,
    )
    assert [line for line in done.stderr.splitlines() if "meterhouse" in line] == []


def test_the_containers_start_what_is_there() -> None:
    """Both services run a command of the checkout, with a volume for what must outlive them."""
    compose: dict[str, Any] = yaml.safe_load((DEPLOYMENT / "compose.yaml").read_text())
    services = compose["services"]
    assert {*services} == {"postgres", "webserver", "daemon"}
    for name in ("webserver", "daemon"):
        command = services[name]["command"].split()
        assert (ROOT / ".venv" / "bin" / command[0]).exists()
        assert (ROOT / command[command.index("-w") + 1]).exists()
        mounts = [volume.split(":") for volume in services[name]["volumes"]]
        assert {volume for volume, _ in mounts} <= {*compose["volumes"]}
        for setting in ("WAREHOUSE", "XDG_STATE_HOME", "PLATFORM_USAGE_DIR"):
            assert services[name]["environment"][setting].startswith(mounts[0][1])


@pytest.mark.slow
def test_dagster_keeps_its_history_in_postgres(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dagster.yaml and what is appended to it; a run is in the database afterwards."""
    pytest.importorskip("dagster_postgres")
    if not INITDB:
        pytest.skip("no Postgres on this machine")
    text = (ROOT / "dagster.yaml").read_text() + (DEPLOYMENT / "postgres.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(text)

    @dg.job
    def nothing() -> None:
        pass

    with postgres() as address:
        # SQLAlchemy would take another driver, which cannot what Dagster asks of it
        driver = address.replace("postgresql:", "postgresql+psycopg2:")
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", driver)
        instance = dg.DagsterInstance.from_config(f"{tmp_path}")
        assert nothing.execute_in_process(instance=instance).success
        assert len(instance.get_runs()) == 1
        assert "Postgres" in type(instance.run_storage).__name__
        instance.dispose()
