"""What is wanted of an endpoint: within which window, of which scopes; and the same by account."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from assets.runs.accounts import Whose
from assets.runs.planning import Due, Standings
from pipelines.endpoint import Endpoint
from pipelines.source import Account, Source
from pipelines.windows import Window

# given which scopes there are, what to ask for
Choose: TypeAlias = Callable[[list[str]], Due]


@dataclass(frozen=True)
class Wanted:
    """What is wanted of an endpoint: `choose` within `window` (None: what it lists, as it is).

    `standings`: how its scopes stood, where that was looked up to know it.
    """

    endpoint: Endpoint
    window: Window | None
    choose: Choose
    standings: Standings | None = None


@dataclass(frozen=True, kw_only=True)
class Job(Wanted):
    """The same of one account."""

    source: Source[Any, Any]
    account: Account[Any]

    @property
    def whose(self) -> Whose:
        """The account, by a name that no other source's has."""
        return self.source.name, self.account.name


def names(endpoint: Endpoint) -> Wanted:
    """What an endpoint lists, of every scope."""
    return Wanted(endpoint, None, lambda scopes: {scope: [] for scope in scopes})
