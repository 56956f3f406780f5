"""Alerts: one message when a cause appears, one when it is gone, over real HTTP and real SMTP."""

import json
import logging
import re
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from assets.alerts.automation import alerts
from assets.alerts.digest import digest
from assets.alerts.notify import tell
from assets.cli import main
from assets.definitions import defs
from assets.report.page import Span
from assets.settings import SettingsError, read_settings
from tests.conftest import Worlds
from tests.models.test_storage import files_up_to

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)


@dataclass
class Receiver:
    """A webhook and a mail server on loopback, and what they were sent."""

    posted: list[str] = field(default_factory=list)
    mailed: list[str] = field(default_factory=list)
    answers: int = 200
    environment: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Both, and the settings that name them."""
    found = Receiver()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if found.answers == 200:
                found.posted.append(json.loads(body)["text"])
            self.send_response(found.answers)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Mail(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 mail\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    found.mailed.append(b"".join(lines).decode())
                says = {b"QUIT": b"221 bye\r\n", b"EHLO": b"250-mail\r\n250 AUTH PLAIN\r\n"}
                self.wfile.write(says.get(verb, b"250 ok\r\n"))
                if verb == b"QUIT":
                    return

    servers = [
        ThreadingHTTPServer(("127.0.0.1", 0), Hook),
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    hook, mail = (server.server_address[1] for server in servers)
    found.environment = {
        "ALERT_WEBHOOK_URL": f"http://127.0.0.1:{hook}/services/SECRET-OF-THE-HOOK",
        "ALERT_SMTP_URL": f"smtp://127.0.0.1:{mail}",
        "ALERT_EMAIL_FROM": "meterhouse@example.com",
        "ALERT_EMAIL_TO": "a@example.com, b@example.com",
    }
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


def cause(kind: str = "at risk", subject: str = "hours", **more: Any) -> dict[str, Any]:
    """A row as reports.needs_you has it."""
    row = {"kind": kind, "source": "neon", "subject": subject, "what": f"{subject} are not held"}
    return {**row, "since_at": None, "too_late_at": None, "what_to_do": "Load them.", **more}


def told(receiver: Receiver, warehouse: Path, *found: dict[str, Any]) -> list[str]:
    """What could not be told of these causes."""
    return tell(read_settings(receiver.environment).channels, warehouse, found, NOW)


def test_a_cause_is_told_once_and_once_that_it_is_gone(receiver: Receiver, tmp_path: Path) -> None:
    """By each channel, however often somebody looks, until it is there again."""
    warehouse = tmp_path / "w.duckdb"
    for _ in range(3):
        assert told(receiver, warehouse, cause(what="5 are not held")) == []
    (said,) = receiver.posted
    assert said == "at risk neon: 5 are not held\n\nLoad them."
    assert told(receiver, warehouse) == told(receiver, warehouse) == []
    assert receiver.posted[1:] == [
        "resolved: at risk neon: 5 are not held\n\nAs of 2026-11-27 09:00Z."
    ]
    told(receiver, warehouse, cause())
    assert len(receiver.posted) == len(receiver.mailed) == 3
    assert "To: a@example.com, b@example.com" in receiver.mailed[0]
    assert "Subject: meterhouse: at risk neon: 5 are not held" in receiver.mailed[0]


def test_each_cause_is_a_message(receiver: Receiver, tmp_path: Path) -> None:
    """It says since when it is so, and until when it can be mended."""
    late = cause(subject="days", too_late_at=datetime(2026, 11, 28, tzinfo=UTC), since_at=NOW)
    told(receiver, tmp_path / "w", cause(), late)
    assert len(receiver.posted) == 2
    (of_days,) = (text for text in receiver.posted if "days" in text)
    assert "Since 2026-11-27 09:00Z." in of_days
    assert "It cannot be mended after 2026-11-28 00:00Z." in of_days


def test_what_was_not_taken_is_told_again(receiver: Receiver, tmp_path: Path) -> None:
    """The failure names the setting and never the address, which is a secret."""
    receiver.answers = 404
    (failure,) = told(receiver, tmp_path / "w", cause())
    assert failure == "not told: at risk neon: hours are not held (ALERT_WEBHOOK_URL: HTTP 404)"
    receiver.answers = 200
    assert told(receiver, tmp_path / "w", cause()) == []
    assert len(receiver.posted) == 1
    receiver.environment = {"ALERT_WEBHOOK_URL": "http://127.0.0.1:1/SECRET-OF-THE-HOOK"}
    (failure,) = told(receiver, tmp_path / "other", cause())
    assert "ALERT_WEBHOOK_URL: ConnectError" in failure
    assert "SECRET" not in failure


def test_no_log_has_the_address_of_a_webhook(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever Dagster was told to keep of what libraries log."""
    caplog.set_level(logging.DEBUG)
    assert told(receiver, tmp_path / "w", cause()) == []
    assert len(receiver.posted) == 1
    assert "SECRET" not in caplog.text


def test_a_channel_that_is_down_repeats_nothing_on_another(
    receiver: Receiver, tmp_path: Path
) -> None:
    """Mail is told once while the webhook is down, and the webhook when it is there again."""
    receiver.answers = 503
    for _ in range(3):
        assert len(told(receiver, tmp_path / "w", cause())) == 1
    receiver.answers = 200
    assert told(receiver, tmp_path / "w", cause()) == []
    assert (len(receiver.mailed), len(receiver.posted)) == (1, 1)


@pytest.mark.parametrize(
    ("address", "proxy", "kind"),
    [
        ("https://a..b/SECRET-OF-THE-HOOK", "", "Unicode(Encode)?Error"),
        ("https://-\u00fc..x/SECRET-OF-THE-HOOK", "", "InvalidURL"),
        ("https://hooks.example.com/SECRET-OF-THE-HOOK", "socks5://127.0.0.1:1", "ImportError"),
        ("https://hooks.example.com/SECRET-OF-THE-HOOK", "ftp://127.0.0.1:1", "ValueError"),
    ],
)
def test_an_address_that_nothing_is_posted_to_keeps_nobody_else_from_being_told(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    address: str, proxy: str, kind: str,
) -> None:  # fmt: skip
    """It is a channel that did not take it, whatever httpx raises of it."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    receiver.environment["ALERT_WEBHOOK_URL"] = address
    (failure,) = told(receiver, tmp_path / "w", cause())
    said = rf"not told: at risk neon: hours are not held \(ALERT_WEBHOOK_URL: {kind}\)"
    assert re.fullmatch(said, failure)
    assert len(receiver.mailed) == 1


def test_a_password_that_is_not_ascii_is_a_failure_of_mail_alone(
    receiver: Receiver, tmp_path: Path
) -> None:
    """And no secret is told."""
    server = receiver.environment["ALERT_SMTP_URL"]
    receiver.environment["ALERT_SMTP_URL"] = server.replace("//", "//me:p%C3%A4ss@")
    (failure,) = told(receiver, tmp_path / "w", cause())
    assert failure.endswith("(ALERT_SMTP_URL: UnicodeEncodeError)")
    assert len(receiver.posted) == 1


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b"null", b'{"webhook": 5}', b'{"webhook": {"x": ""}}']
)
def test_a_list_that_is_damaged_is_begun_anew(
    receiver: Receiver, tmp_path: Path, damage: bytes
) -> None:
    """A cause told twice is better than one that is never told."""
    (tmp_path / "w.alerts.json").write_bytes(damage)
    for _ in range(2):
        assert told(receiver, tmp_path / "w", cause()) == []
    assert len(receiver.posted) == 1


def test_a_full_disk_keeps_nothing_from_being_told(receiver: Receiver, tmp_path: Path) -> None:
    """It is what somebody has to hear of; told again while nobody can note it, and then once."""
    warehouse = tmp_path / "w"
    for _ in range(2):
        with files_up_to(0):
            (failure,) = told(receiver, warehouse, cause(), cause(subject="days"))
        assert failure.startswith("what was told could not be noted, and is told again (")
    assert len(receiver.posted) == 4
    for _ in range(2):
        assert told(receiver, warehouse, cause(), cause(subject="days")) == []
    assert len(receiver.posted) == 6


def test_with_no_channel_nothing_is_told_or_kept(tmp_path: Path) -> None:
    """Not even as told: who sets a channel up later hears of what is still so."""
    assert tell(read_settings({}).channels, tmp_path / "w", [cause()], NOW) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ALERT_WEBHOOK_URL": "http://hooks.example.com/T0/SECRET"}, "address like https://host"),
        ({"ALERT_SMTP_URL": "smtp://u:SECRET@mail.example.com"}, "address like smtps://host"),
        ({"ALERT_EMAIL_TO": "nobody"}, "mail addresses between commas"),
        ({"ALERT_SMTP_URL": "smtps://u:SECRET@mail.example.com"}, "mail needs all of"),
    ],
)
def test_a_channel_that_cannot_be_used_is_said(environment: dict[str, str], message: str) -> None:
    """Unencrypted to another machine, no address, or a part of what mail needs; and no secret."""
    with pytest.raises(SettingsError, match=message) as raised:
        read_settings(environment)
    assert "SECRET" not in str(raised.value)


def test_the_week_is_a_message() -> None:
    """What it cost and what was used, against the week before, and what changed most."""

    def thing(
        source: str,
        project: str,
        cost: float | None,
        before: float | None,
        meter: str = "compute",
        org: str = "o",
    ) -> dict[str, Any]:
        costs, used = [0, 0, cost, before, 0, 0], [0, 0, 6 if cost is None else cost * 10, 0, 0, 0]
        told = [{"meter": meter, "unit": "h", "c": costs, "q": used}]
        return {"source": source, "org": org, "project": project, "meters": told}

    # of two organizations, with one name; a meter for each letter; one that has no price, and one
    # that is told by the month
    things = [thing("neon", "p", 12.5, 10), thing("neon", "p", 0, 2.5, org="other")]
    things += [thing("forge", "q", 0.5, 0.5, letter) for letter in "abcdefghijklm"]
    things.append(thing("bitbucket", "r", None, None))
    month = [99.0, *[None] * 5]
    by_month = {"meter": "credits", "unit": "credit", "c": month, "q": month}
    things.append({"source": "rovo", "org": "o", "project": None, "meters": [by_month]})
    span = Span.of(date(2026, 11, 1), NOW)
    lines = digest(span, things, set(), [cause()]).splitlines()
    of_forge = [f"- forge {letter}, h: 5.00 (new)" for letter in "abcdefghijklm"]
    assert lines == [
        "2026-11-20 to 2026-11-26: $19.00 (+0%)",
        "",
        "Cost, an estimate, against the 7 days before:",
        "- neon: $12.50 (+0%)",
        "- forge: $6.50 (+0%)",
        "",
        "What changed most:",
        "- o, p (neon): $12.50 (+25%)",
        "- other, p (neon): $0.00 (-100%)",
        "- o, q (forge): $6.50 (+0%)",
        "",
        "Used:",
        "- bitbucket compute, h: 6.00 (new)",
        *of_forge,
        "- neon compute, h: 125.00 (new)",
        "",
        "What needs somebody:",
        "- at risk neon: hours are not held",
    ]
    # of fewer days it is no change
    lines = digest(span, things, {"neon"}, []).splitlines()
    assert lines[0] == "2026-11-20 to 2026-11-26: $19.00 (not comparable)"
    assert lines[3:9] == [
        "- neon: $12.50 (not comparable)",
        "- forge: $6.50 (+0%)",
        "",
        "What changed most:",
        "- o, q (forge): $6.50 (+0%)",
        "",
    ]
    assert lines[-4] == "- neon compute, h: 125.00 (not comparable)"


def test_a_little_is_told_as_such() -> None:
    """It is not 0.00, and three in a thousand less is no less than nothing."""
    meter = {"meter": "compute", "unit": "h", "c": [0, 0, 0.0004, 0], "q": [0, 0, 2e-9, 0]}
    more = {"meter": "storage", "unit": "GB", "c": [0, 0, 9.97, 10], "q": [0, 0, 997, 1000]}
    things = [
        {"source": source, "org": None, "project": "p", "meters": [its]}
        for source, its in (("forge", meter), ("neon", more))
    ]
    lines = digest(Span.of(date(2026, 11, 1), NOW), things, set(), []).splitlines()
    assert lines[3:5] == ["- forge: under $0.01 (new)", "- neon: $9.97 (+0%)"]
    assert lines[-5:-3] == [
        "- forge compute, h: under 0.01 (new)",
        "- neon storage, GB: 997.00 (+0%)",
    ]


def test_a_run_tells_what_became_of_it(
    receiver: Receiver, tmp_path: Path, worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the warehouse cannot be read; a tick that knows of no run resolves none."""
    warehouse = tmp_path / "meterhouse.duckdb"
    warehouse.write_text("something else")
    monkeypatch.chdir(tmp_path)
    for name, value in (receiver.environment | {"WAREHOUSE": f"{warehouse}"}).items():
        monkeypatch.setenv(name, value)
    assert CliRunner().invoke(main, ["run", "--notify"]).exit_code == 1
    assert sorted(text.partition(":")[0] for text in receiver.posted) == [
        "failed run",
        "unreadable",
    ]
    worlds.begin(tmp_path)
    assert CliRunner().invoke(main, ["notify"]).exit_code == 0
    assert [text.partition(":")[2][:12] for text in receiver.posted[2:]] == [" unreadable:"]
    assert CliRunner().invoke(main, ["run", "--notify"]).exit_code == 0
    assert receiver.posted[3].startswith("resolved: failed run: meterhouse run")
    assert len(receiver.posted) == 4


def test_dagster_tells_of_jobs_that_failed(
    receiver: Receiver,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By their last run, and why; the digest of a warehouse that is not there is one. That nothing
    can be read before the first build is no trouble of its own."""
    monkeypatch.chdir(tmp_path)
    for name, value in (receiver.environment | {"WAREHOUSE": f"{tmp_path}/w.duckdb"}).items():
        monkeypatch.setenv(name, value)
    job = defs.resolve_job_def("weekly_digest")
    assert not job.execute_in_process(instance=instance, raise_on_error=False).success
    alerts(dg.build_sensor_context(instance, repository_def=defs.get_repository_def()))
    (text,) = receiver.posted
    assert re.match(r"failed run: weekly_digest: run \w{8} failed: .*nothing has been built", text)


def test_dagster_tells_of_a_setting_that_cannot_be_used(
    receiver: Receiver,
    tmp_path: Path,
    worlds: Worlds,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once, and that it is mended; what was told before is not resolved meanwhile."""
    monkeypatch.chdir(tmp_path)
    worlds.begin(tmp_path)
    at = {"WAREHOUSE": f"{tmp_path}/meterhouse.duckdb", "FORGE_SITES_BY_ENVIRONMENT": "maybe"}
    for name, value in (receiver.environment | at).items():
        monkeypatch.setenv(name, value)
    context = dg.build_sensor_context(instance, repository_def=defs.get_repository_def())
    for limit, told in (("", 1), ("lots", 2), ("lots", 2), ("1GB", 3)):
        monkeypatch.setenv("MEMORY_LIMIT", limit)
        alerts(context)
        assert len(receiver.posted) == len(receiver.mailed) == told
    assert receiver.posted[1].startswith("setting: MEMORY_LIMIT is 'lots': it has to be ")
    assert receiver.posted[2].startswith(f"resolved: {receiver.posted[1].splitlines()[0]}")
