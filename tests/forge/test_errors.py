"""What the gateway refuses, and how: each layer of errors in words, and nothing lost by it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import dbt_like_sql
from assets.terminal import runs
from assets.terminal.console import Report
from pipelines.forge.client import USER_AGENT
from pipelines.http import TRIES, VendorError
from pipelines.source import reasons
from tests.clients import load_due
from tests.conftest import GRAINS, Open, World
from tests.forge.gateway import (
    APP,
    BASIC,
    MONTH,
    Gateway,
    Teller,
    answer,
    by_key,
    forge_at,
    open_gateway,
    open_teller,
    period,
)
from tests.sandbox.desk import Fault, FaultKind
from tests.sandbox.forge_apps import RESOURCES
from tests.sandbox.forge_desk import API_TOKEN, APP_ARI, EMAIL

PAST = {"Retry-After": "2026-11-01T10:00Z"}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway as it is when nothing is amiss."""
    with open_gateway(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def teller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teller]:
    """A gateway that says what a test has it say."""
    with open_teller(tmp_path_factory.mktemp("teller")) as opened:
        yield opened


def refused(status: int, message: str = "Slow down", extensions: str | None = None) -> bytes:
    """`errors` without data, as a gateway answers that did not get as far as the call."""
    told = extensions or f'{{"errorType":"LIMIT","statusCode":{status}}}'
    return f'{{"errors":[{{"message":"{message}","extensions":{told}}}],"data":null}}'.encode()


@pytest.mark.parametrize("extensions", [None, '[{"statusCode":429}]'])
def test_a_limit_told_without_data_is_tried_again(teller: Teller, extensions: str | None) -> None:
    """`errors` with 429 in a 200, object or list, twice; then the answer: counted, no error."""
    before = teller.forge.rate_limited
    limited = refused(429, extensions=extensions)
    assert len(teller.rows(limited, limited, answer(period()))) == 1
    assert (teller.asked, teller.forge.rate_limited - before) == (3, 2)


def test_a_limit_that_stays_is_an_error_in_words(teller: Teller) -> None:
    """After seven tries: what Atlassian said, and what to do."""
    with pytest.raises(VendorError, match=r"429: Slow down\. Something else spends this account's"):
        teller.rows(refused(429))
    assert teller.asked == TRIES
    error = ',"pagination":null,"error":{"message":"Too many","extensions":[{"statusCode":429}]}'
    with pytest.raises(VendorError, match=r"429: Too many\. Something else spends this account's"):
        teller.rows(answer(more=error))


@pytest.mark.parametrize("kind", [429, 503, "drop", "cut"])
def test_what_may_pass_is_tried_again(gateway: Gateway, kind: FaultKind) -> None:
    """Twice nothing, with an instant of the past in Retry-After; then the answer."""
    gateway.sandbox.forge.faults.append(Fault("/graphql", kind, count=2, headers=PAST))
    assert by_key(gateway.rows()) == gateway.truth()
    assert len(gateway.sandbox.forge.requests) == gateway.forge.requests_sent == 3
    assert gateway.forge.rate_limited == (2 if kind == 429 else 0)


@pytest.mark.parametrize("told", [[{"statusCode": 429}], {"statusCode": 429}])
def test_a_limit_told_inside_a_200_is_tried_again(gateway: Gateway, told: Any) -> None:
    """The payload's own error with 429, extensions as list or object: tried again, and counted."""
    gateway.sandbox.forge.faults.append(Fault("/graphql", "error_in_200", count=2, extensions=told))
    assert by_key(gateway.rows()) == gateway.truth()
    assert (gateway.forge.requests_sent, gateway.forge.rate_limited) == (3, 2)


def test_retry_after_as_an_instant_is_waited_for(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway's form, a timestamp: not asked again before it."""
    waits: list[float] = []
    monkeypatch.setattr("pipelines.http.Budget.pause", lambda _, seconds: waits.append(seconds))
    named = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20)
    headers = {"Retry-After": f"{named:%Y-%m-%dT%H:%M:%SZ}"}
    gateway.sandbox.forge.faults.append(Fault("/graphql", 429, headers=headers))
    gateway.rows()
    second = gateway.sandbox.forge.requests[1].asked_at
    assert second + timedelta(seconds=sum(waits)) >= named - timedelta(milliseconds=50)


@pytest.mark.parametrize("told", [[{"statusCode": 400}], {"statusCode": 400}, None])
def test_an_error_inside_a_200_is_an_error(gateway: Gateway, told: Any) -> None:
    """With extensions as a list, an object or null: what it says, and no row."""
    fault = Fault("/graphql", "error_in_200", message=f"no {API_TOKEN}, {BASIC}", extensions=told)
    gateway.sandbox.forge.faults.append(fault)
    with pytest.raises(VendorError, match=r"no \*\*\*, \*\*\*") as caught:
        gateway.rows()
    assert caught.value.status == (400 if told else None)
    assert len(gateway.sandbox.forge.requests) == 1


@pytest.mark.parametrize(("status", "requests"), [(422, 1), (504, TRIES)])
def test_errors_beside_partial_data_are_an_error(
    gateway: Gateway, status: int, requests: int
) -> None:
    """Half of the rows is not the answer, whether it is tried again or not."""
    told = {"errorType": "PARTIAL", "statusCode": status}
    fault = Fault("/graphql", "graphql_errors", message="half", extensions=told, count=TRIES)
    gateway.sandbox.forge.faults.append(fault)
    with pytest.raises(VendorError, match="half") as caught:
        gateway.rows()
    assert caught.value.status == status
    assert len(gateway.sandbox.forge.requests) == requests


@pytest.mark.parametrize("kind", ["null_answer", "html", "truncate", 400, 401])
def test_no_secret_is_in_an_error(gateway: Gateway, kind: FaultKind) -> None:
    """Neither token nor credential, echoed or not, in any form."""
    message = f"sent: {EMAIL}:{API_TOKEN} Basic {BASIC}"
    fault = Fault("/graphql", kind, message=message, count=TRIES)
    gateway.sandbox.forge.faults.append(fault)
    with pytest.raises(VendorError) as caught:
        gateway.rows()
    for secret in (API_TOKEN, BASIC):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value.__cause__)


def test_a_missing_experimental_header_is_explained(gateway: Gateway, tmp_path: Path) -> None:
    """The gateway refuses outright without it: the error names the setting."""
    url = gateway.sandbox.environment["ATLASSIAN_GRAPHQL_URL"]
    forge = forge_at(url, tmp_path, experimental_api="")
    with pytest.raises(VendorError, match="set FORGE_EXPERIMENTAL_API") as caught:
        list(forge.usage(APP, gateway.apps.app_ids[0], "KVS_READ", MONTH))
    assert caught.value.status == 400
    forge.close()


def test_headers_are_the_documented_ones(gateway: Gateway) -> None:
    """The User-Agent that Atlassian asks for, and the configured X-ExperimentalAPI."""
    gateway.rows()
    (request,) = gateway.sandbox.forge.requests
    assert request.headers == {"user-agent": USER_AGENT, "x-experimentalapi": "Here"}
    assert USER_AGENT == "ForgeMetricsExportServer/1.0.0"
    assert request.variables["interval"]["end"] == "2026-11-30T23:59:59Z"


LIST_RESOURCES = "from assets.retention import meters_of; print(*meters_of('forge'))"


def due(here: World) -> dict[str, Any]:
    """What a run makes of all that is due at Forge."""
    return load_due(here.settings, ("forge",), GRAINS)


def test_a_wrong_token_is_one_request(world: Open) -> None:
    """After a 401 nothing more is asked in that load, of no app and no call, and no retry."""
    here = world(projects=1, apps=2, sites=3)
    here.settings = here.settings_with(ATLASSIAN_API_TOKEN="wrong")  # noqa: S106
    result = due(here)
    assert [request.status for request in here.sandbox.forge.requests] == [401]
    assert (result["requests"], result["refused"]) == (1, ["forge"])
    (failure,) = result["failures"]
    assert "HTTP 401" in failure
    assert "ATLASSIAN_EMAIL and ATLASSIAN_API_TOKEN are not accepted" in failure
    assert "wrong" not in json.dumps(result, default=str)
    assert here.raw("select count(*) from raw.loads") == [(0,)]


def test_an_app_of_somebody_else_is_one_request(world: Open) -> None:
    """Its 403, told inside a 200, ends the asking about it; the account's own app lands."""
    here = world(projects=1, apps=1, sites=3)
    apps = here.company.forge
    here.settings = here.settings_with(FORGE_APP_IDS=f"{apps.foreign_app_id},{apps.app_ids[0]}")
    window = here.reach("daily")
    landing = here.land(APP, replace(window, since=window.until - timedelta(days=1)))
    asked = Counter(request.variables["appId"] for request in here.sandbox.forge.requests)
    assert asked == {apps.foreign_app_id: 1, apps.app_ids[0]: 12}
    scopes = {receipt.scope for receipt in landing.receipts}
    assert scopes == {f"{apps.app_ids[0]}/{resource}" for resource in RESOURCES}
    assert {failure.status for failure in landing.failures} == {403}
    (said,) = {str(failure) for failure in landing.failures}
    assert "The caller does not own this app. Only the account that owns an app may ask" in said
    assert apps.foreign_app_id in said


def test_what_is_refused_of_all_is_said_once(world: Open) -> None:
    """A header that the gateway no longer takes is no trouble of one app, resource or month."""
    here = world(projects=1, apps=2, sites=3)
    fault = Fault("/graphql", "error_in_200", count=999, message="Experimental API is retired")
    here.sandbox.forge.faults.append(fault)
    window = here.reach("daily")
    landing = here.land(APP, replace(window, since=window.until - timedelta(days=1)))
    assert len(landing.failures) == 24
    (said,) = reasons(landing.failures)
    assert "another X-ExperimentalAPI header: set FORGE_EXPERIMENTAL_API." in said
    assert said.count("Experimental API is retired") == 1
    one = rf"[A-Z_]+ of app {here.company.forge.app_ids[0]}, daily [^;]+"
    assert re.search(
        rf"^forge {one}: .* The same goes for {one}; {one}; {one} and 20 more\.$", said
    )


def test_what_is_refused_of_all_is_said_once_in_a_run(
    world: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many endpoints are asked: of those that come later it is said that it goes for them,
    too."""
    here = world(projects=1, apps=1, sites=3)
    fault = Fault("/graphql", "error_in_200", count=999, message="Experimental API is retired")
    here.sandbox.forge.faults.append(fault)
    result = runs.load_due(here.settings, Report(False), ("forge",), GRAINS).as_json()
    assert [line["table"] for line in result["asked"] if line["failed"]] == [
        *("raw.forge_app_usage", "raw.forge_site_usage", "raw.forge_environment_usage")
    ]
    (said,) = result["failures"]
    shown = capsys.readouterr().out
    assert said.count("Experimental API is retired") == 1
    assert shown.count("Experimental API is retired") == 1
    assert len(re.findall(r"FAILED The same goes for [A-Z_]+ of app \S+ by site, ", shown)) == 1


def test_an_app_has_one_id_in_both_forms(world: Open) -> None:
    """UUID and ARI, both given: asked once, in the form that came first; facts have the UUID."""
    here = world(projects=1, apps=1, sites=3)
    (uuid,) = here.company.forge.app_ids
    window = here.reach("daily")
    day = replace(window, since=window.until - timedelta(days=1))
    here.settings = here.settings_with(FORGE_APP_IDS=f"{APP_ARI}{uuid},{uuid}")
    here.land(APP, day)
    asked = [request.variables["appId"] for request in here.sandbox.forge.requests]
    assert asked == [APP_ARI + uuid] * 12
    assert here.raw("select distinct app_id from raw.forge_app_usage") == [(uuid,)]


def test_a_resource_that_is_added_to_the_seed_is_asked_for(tmp_path: Path) -> None:
    """Nothing but a row of seeds/meters.csv says which resources there are."""
    package = Path(dbt_like_sql.__file__).parent
    shutil.copytree(package, tmp_path / "dbt_like_sql")
    seed = tmp_path / "dbt_like_sql" / "seeds" / "meters.csv"
    row = "forge,QUEUE_WRITES,operations,sum,requests,,,request,1,,Queues,https://example.com\n"
    seed.write_text(seed.read_text(encoding="utf-8") + row, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            LIST_RESOURCES,
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{package.parent}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == {*RESOURCES, "QUEUE_WRITES"}
