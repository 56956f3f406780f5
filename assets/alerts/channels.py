"""Where messages go: a webhook that takes Slack's JSON, and mail by SMTP."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from pipelines.settings import Setting, is_loopback

SECONDS = 15.0


def _address(*schemes: str) -> Callable[[str], str]:
    """Reads an address of one of these schemes; the first is for this machine alone."""

    def read(value: str) -> str:
        try:
            address = urlsplit(value)
            host, _ = address.hostname or "", address.port
        except ValueError:
            address, host = urlsplit(""), ""
        usable = schemes if is_loopback(host) else schemes[1:]
        if value and not (host and address.scheme in usable and value.isprintable()):
            raise ValueError(f"an address like {schemes[1]}://host")
        return value

    return read


def _addresses(value: str) -> tuple[str, ...]:
    """Mail addresses between commas."""
    found = tuple(filter(None, (part.strip() for part in value.split(","))))
    if not all(re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", part) for part in found):
        raise ValueError("mail addresses between commas")
    return found


WEBHOOK = Setting(
    "ALERT_WEBHOOK_URL",
    "",
    'where alerts are posted as `{"text": ...}`, which Slack takes, and others',
    _address("http", "https"),
    is_secret=True,
)
SMTP = Setting(
    "ALERT_SMTP_URL",
    "",
    "the server that mails alerts: `smtps://user:password@host`, or `smtp+starttls://…`",
    _address("smtp", "smtps", "smtp+starttls"),
    is_secret=True,
)
SENDER = Setting("ALERT_EMAIL_FROM", "", "who mails them", _addresses)
RECEIVERS = Setting("ALERT_EMAIL_TO", "", "who is mailed, between commas", _addresses)
SETTINGS = (WEBHOOK, SMTP, SENDER, RECEIVERS)


class DeliveryError(RuntimeError):
    """A message did not reach its channel; the text names the setting, and no secret."""


class Channel(Protocol):
    """What takes a message. Raises DeliveryError."""

    name: ClassVar[str]

    def send(self, subject: str, text: str) -> None:
        """Send a message; of some channels the subject is its first line."""


@dataclass(frozen=True)
class Webhook:
    """An address that takes `{"text": ...}`, as Slack, Mattermost and others do."""

    address: str
    name: ClassVar[str] = "webhook"

    def send(self, subject: str, text: str) -> None:
        """Post it."""
        import httpx

        try:
            answer = httpx.post(self.address, json={"text": text}, timeout=SECONDS)
        except httpx.HTTPError as error:
            # its text may have the address in it, which is a secret
            raise DeliveryError(f"{WEBHOOK.name}: {type(error).__name__}") from None
        if not answer.is_success:
            raise DeliveryError(f"{WEBHOOK.name}: HTTP {answer.status_code}")


@dataclass(frozen=True)
class Mail:
    """A mail server, and who writes to whom."""

    server: str
    sender: str
    receivers: Sequence[str]
    name: ClassVar[str] = "mail"

    def send(self, subject: str, text: str) -> None:
        """Mail it."""
        import smtplib
        import ssl
        from email.message import EmailMessage
        from urllib.parse import unquote

        message = EmailMessage()
        message["Subject"] = f"meterhouse: {subject}"
        message["From"], message["To"] = self.sender, ", ".join(self.receivers)
        message.set_content(text)
        server, tls = urlsplit(self.server), ssl.create_default_context()
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
        except (OSError, smtplib.SMTPException) as error:
            code = getattr(error, "smtp_code", "")
            raise DeliveryError(f"{SMTP.name}: {type(error).__name__} {code}".rstrip()) from None


def channels(read: Callable[[Setting], Any]) -> tuple[Channel, ...]:
    """Those that are set up. Raises ValueError where of mail only a part is."""
    webhook, server, senders, receivers = map(read, SETTINGS)
    found: list[Channel] = [Webhook(webhook)] if webhook else []
    if any((server, senders, receivers)):
        if not all((server, senders, receivers)):
            names = ", ".join(about.name for about in (SMTP, SENDER, RECEIVERS))
            raise ValueError(f"mail needs all of {names}")
        found.append(Mail(server, senders[0], receivers))
    return tuple(found)
