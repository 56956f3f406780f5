"""What docs/deployment/ has: units that systemd takes, and settings that Dagster starts with."""

import re
import shutil
import subprocess
from importlib.metadata import version
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


@pytest.mark.parametrize(
    ("file", "others"),
    [
        ("compose.yaml", {"postgres"}),
        ("compose.nodes.yaml", {"postgres", "redis", "worker-a", "worker-b"}),
    ],
)
def test_the_containers_start_what_is_there(file: str, others: set[str]) -> None:
    """Both services run a command of the checkout, with a volume for what must outlive them."""
    compose = _yaml(file)
    services = compose["services"]
    assert {*services} == {"webserver", "daemon"} | others
    for name in ("webserver", "daemon"):
        command = services[name]["command"].split()
        assert (ROOT / ".venv" / "bin" / command[0]).exists()
        assert (ROOT / command[command.index("-w") + 1]).exists()
    for name in {*services} - {"postgres", "redis"}:
        mounts = [volume.split(":") for volume in services[name]["volumes"]]
        assert {volume for volume, _ in mounts} <= {*compose["volumes"]}
        set_to = services[name]["environment"]
        for setting in ("LAKE_DATA", "WAREHOUSE", "XDG_STATE_HOME", "PLATFORM_USAGE_DIR"):
            value = set_to.get(setting, mounts[0][1])
            assert value.startswith((mounts[0][1], "ducklake:postgres:host=postgres "))


def test_workers_take_no_more_than_they_run() -> None:
    """Dagster lets as many runs go as all workers have places; and Celery is told where it is."""
    compose, instance = _yaml("compose.nodes.yaml"), _yaml("nodes.yaml")
    places = 0
    for name in ("worker-a", "worker-b"):
        service = compose["services"][name]
        command = service["command"].split()
        assert "--disable-prefetch" in command
        places += int(command[command.index("-c") + 1])
        asked = {value["env"] for value in instance["run_launcher"]["config"].values()}
        assert asked <= {*service["environment"]}
    assert instance["concurrency"]["runs"]["max_concurrent_runs"] == places


def test_nodes_differ_from_one_machine_in_what_they_must() -> None:
    """Several nodes have a launcher, end a run sooner, and are else as dagster.yaml says."""
    one = yaml.safe_load((ROOT / "dagster.yaml").read_text()) | _yaml("postgres.yaml")
    several = _yaml("nodes.yaml")
    assert several.pop("run_launcher")["module"] == "dagster_celery.launcher"
    longest = several["run_monitoring"].pop("max_runtime_seconds")
    assert longest < one["run_monitoring"].pop("max_runtime_seconds")
    assert several == one


def test_helm_says_the_same_as_the_nodes() -> None:
    """What the chart writes into its dagster.yaml is what stands in ours."""
    values, ours = _yaml("helm.values.yaml"), _yaml("nodes.yaml")
    daemon = values["dagsterDaemon"]
    for told, name in (("runMonitoring", "run_monitoring"), ("runRetries", "run_retries")):
        assert {_snake(key): value for key, value in daemon[told].items()} == ours[name]
    queue = daemon["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert queue == {"maxConcurrentRuns": ours["concurrency"]["runs"]["max_concurrent_runs"]}
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    assert deployment["envSecrets"] == launcher["envSecrets"]
    (location,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert location["python_module"]["module_name"] in deployment["dagsterApiGrpcArgs"]
    assert "--version " + version("dagster") in (DEPLOYMENT / "helm.values.yaml").read_text()


def _yaml(file: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOYMENT / file).read_text())
    return loaded


def _snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()


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
