"""Who asks: the accounts of every source, a client each, and every scope asked by one of them."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from assets.settings import Settings
from assets.sources import source_of
from pipelines.endpoint import Endpoint
from pipelines.source import Account, Client, Source

# the names of a source and of an account of it: no other's
Whose: TypeAlias = tuple[str, str]
Asker: TypeAlias = tuple[Source[Any, Any], Account[Any]]


class Accounts:
    """The accounts of every source, for the length of a run; a client is made when it is first
    asked for. `refused`: whose credentials are not valid, asked no further."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.refused: set[Whose] = set()
        self._clients: dict[Whose, Client] = {}
        self._asked_by: dict[tuple[str, str], Whose] = {}

    def close(self) -> None:
        """Let go of all clients."""
        for client in self._clients.values():
            client.close()

    def use(self, source: str, client: Client, account: str = "") -> None:
        """Use this client for an account instead of making one."""
        self._clients[source, account] = client

    @property
    def requests_sent(self) -> int:
        """Requests sent so far, retries included."""
        return sum(client.requests_sent for client in self._clients.values())

    @property
    def rate_limited(self) -> int:
        """How many of them were answered 429."""
        return sum(client.rate_limited for client in self._clients.values())

    def wanting(self, endpoint: Endpoint) -> Iterator[Asker]:
        """Those that want the endpoint and were not refused."""
        source = source_of(endpoint)
        for account in self._settings.accounts[source.name]:
            is_refused = (source.name, account.name) in self.refused
            if not is_refused and source.is_wanted(account.settings, endpoint):
                yield source, account

    def client(self, source: Source[Any, Any], account: Account[Any]) -> Client:
        """The client of an account."""
        whose = source.name, account.name
        if whose not in self._clients:
            client = source.client(account)
            client.within(self._settings.limits, self._settings.clock)
            self._clients[whose] = client
        return self._clients[whose]

    def claim(self, whose: Whose, table: str, scopes: Iterable[str]) -> list[str]:
        """The scopes that are this account's to ask: those of an earlier one are asked by that."""
        return [
            scope for scope in scopes if self._asked_by.setdefault((table, scope), whose) == whose
        ]

    def claimed(self, table: str) -> set[str]:
        """The scopes of a table that some account asks about."""
        return {scope for of, scope in self._asked_by if of == table}

    def refuse(self, whose: Whose) -> None:
        """Ask this one no further: another may see what it was to be asked about."""
        self.refused.add(whose)
        claims = self._asked_by.items()
        self._asked_by = {key: by for key, by in claims if by != whose}
