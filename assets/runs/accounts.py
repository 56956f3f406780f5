"""Who asks: the accounts of every source, a client each, and every scope asked by one of them."""

from collections.abc import Iterable
from typing import Any

from assets.settings import Settings
from assets.sources import SOURCES
from pipelines.endpoint import Endpoint
from pipelines.source import Account, Client, Source


class Asker:
    """An account of a source, and the client by which it asks, made when it is first needed.

    `is_refused`: its credentials are not valid, and it is asked no further.
    """

    is_refused = False
    made: Client | None = None

    def __init__(self, source: Source[Any], account: Account[Any]) -> None:
        self.source, self.account = source, account

    @property
    def client(self) -> Client:
        """Its client."""
        if self.made is None:
            self.made = self.source.client(self.account)
        return self.made


class Accounts:
    """The accounts of every source, for the length of a run."""

    def __init__(self, settings: Settings) -> None:
        self.askers = [
            Asker(source, account)
            for source in SOURCES
            for account in settings.accounts[source.name]
        ]
        self._asked_by: dict[tuple[str, str], Asker] = {}

    def close(self) -> None:
        """Let go of all clients."""
        for client in self._clients:
            client.close()

    @property
    def _clients(self) -> list[Client]:
        return [asker.made for asker in self.askers if asker.made]

    @property
    def requests_sent(self) -> int:
        """Requests sent so far, retries included."""
        return sum(client.requests_sent for client in self._clients)

    @property
    def rate_limited(self) -> int:
        """How many of them were answered 429."""
        return sum(client.rate_limited for client in self._clients)

    def wanting(self, endpoint: Endpoint) -> list[Asker]:
        """Those that want the endpoint and were not refused."""
        return [
            asker
            for asker in self.askers
            if endpoint in asker.source.endpoints
            and not asker.is_refused
            and asker.source.is_wanted(asker.account.settings, endpoint)
        ]

    def claim(self, asker: Asker, table: str, scopes: Iterable[str]) -> list[str]:
        """The scopes that are this one's to ask: those of an earlier one are asked by that."""
        claims = self._asked_by
        return [scope for scope in scopes if claims.setdefault((table, scope), asker) == asker]

    def claimed(self, table: str) -> set[str]:
        """The scopes of a table that some account asks about."""
        return {scope for of, scope in self._asked_by if of == table}

    def refuse(self, asker: Asker) -> None:
        """Ask this one no further: another may see what it was to be asked about."""
        asker.is_refused = True
        claims = self._asked_by.items()
        self._asked_by = {key: by for key, by in claims if by != asker}
