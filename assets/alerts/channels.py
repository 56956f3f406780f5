"""Where messages go: a webhook that takes Slack's JSON, and mail by SMTP."""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias
from urllib.parse import urlsplit

from pipelines.settings import between_commas, is_loopback, parts_of, setting

SECONDS = 15.0
# sends a message by its subject and text, or raises DeliveryError
Send: TypeAlias = Callable[[str, str], None]


def _address(*schemes: str) -> Callable[[str], str]:
    """Reads an address of one of these schemes; the first is for this machine alone."""

    def read(value: str) -> str:
        address = parts_of(value)
        host = address.hostname or ""
        usable = schemes if is_loopback(host) else schemes[1:]
        if value and not (host and address.scheme in usable and value.isprintable()):
            raise ValueError(f"an address like {schemes[1]}://host")
        return value

    return read


_addresses = between_commas(
    re.compile(r"[^\s@<>]+@[^\s@<>]+").fullmatch, "mail addresses between commas"
)


@dataclass(frozen=True)
class Alerts:
    """Who is told, and by which server."""

    webhook: str = setting(
        "ALERT_WEBHOOK_URL",
        "",
        'where alerts are posted as `{"text": ...}`, which Slack takes, and others',
        _address("http", "https"),
        is_secret=True,
    )
    server: str = setting(
        "ALERT_SMTP_URL",
        "",
        "the server that mails alerts: `smtps://user:password@host`, or `smtp+starttls://…`",
        _address("smtp", "smtps", "smtp+starttls"),
        is_secret=True,
    )
    senders: tuple[str, ...] = setting("ALERT_EMAIL_FROM", "", "who mails them", _addresses)
    receivers: tuple[str, ...] = setting(
        "ALERT_EMAIL_TO", "", "who is mailed, between commas", _addresses
    )


class DeliveryError(RuntimeError):
    """A message did not reach its channel; the text names the setting, and no secret."""


def _post(address: str, subject: str, text: str) -> None:
    """Post `{"text": ...}`, as Slack, Mattermost and others take it; its first line is what it is
    about."""
    import httpx

    # it logs every address that it asks, and this one is a secret
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        answer = httpx.post(address, json={"text": text}, timeout=SECONDS)
    # beside HTTP's own: no host that there can be, or a proxy of a kind that httpx does not speak
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError) as error:
        # its text may have the address in it, which is a secret
        raise DeliveryError(f"ALERT_WEBHOOK_URL: {type(error).__name__}") from None
    if not answer.is_success:
        raise DeliveryError(f"ALERT_WEBHOOK_URL: HTTP {answer.status_code}")


def _mail(address: str, sender: str, receivers: Sequence[str], subject: str, text: str) -> None:
    """Mail it, by the server at an address."""
    import smtplib
    import ssl
    from email.message import EmailMessage
    from urllib.parse import unquote

    message = EmailMessage()
    message["Subject"] = f"meterhouse: {subject}"
    message["From"], message["To"] = sender, ", ".join(receivers)
    message.set_content(text)
    server, tls = urlsplit(address), ssl.create_default_context()
    host, port = server.hostname or "", server.port or 0
    try:
        with (
            smtplib.SMTP_SSL(host, port or 465, timeout=SECONDS, context=tls)
            if server.scheme == "smtps"
            else smtplib.SMTP(host, port or 587, timeout=SECONDS)
        ) as smtp:
            if server.scheme == "smtp+starttls":
                smtp.starttls(context=tls)
            if server.username:
                smtp.login(unquote(server.username), unquote(server.password or ""))
            smtp.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:  # a password that is not ASCII
        code = getattr(error, "smtp_code", "")
        raise DeliveryError(f"ALERT_SMTP_URL: {type(error).__name__} {code}".rstrip()) from None


def channels(alerts: Alerts) -> dict[str, Send]:
    """Those that are set up, by name. Raises ValueError where of mail only a part is."""
    found: dict[str, Send] = {"webhook": partial(_post, alerts.webhook)} if alerts.webhook else {}
    mail = alerts.server, alerts.senders, alerts.receivers
    if any(mail):
        if not all(mail):
            raise ValueError("mail needs all of ALERT_SMTP_URL, ALERT_EMAIL_FROM, ALERT_EMAIL_TO")
        found["mail"] = partial(_mail, alerts.server, alerts.senders[0], alerts.receivers)
    return found
