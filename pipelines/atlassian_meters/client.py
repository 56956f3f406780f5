"""Atlassian's meters API, asked as declared (declared.py), as Arrow pages of readings.

Read only. Nothing here was tried against Atlassian: no path of it was known on 2026-11-26.
Reference: https://developer.atlassian.com/cloud/admin/organization/rovo-credits/.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
from pyrate_limiter import Duration, Rate

from pipelines.atlassian_meters import READINGS, Settings, declared, org_ids
from pipelines.decode import INSTANT, NUMBER, TEXT, as_json, impersonal
from pipelines.endpoint import Endpoint
from pipelines.http import Budget, VendorClient, VendorError
from pipelines.source import Account, Note
from pipelines.windows import Window

TABLES = {
    "platform_readings": pa.schema(
        {
            **{"org_id": TEXT, "usage_type": TEXT, "unit": TEXT, "account_id": TEXT},
            **{"bucket_start": INSTANT, "read_at": INSTANT, "used": NUMBER},
            **{"limit_quantity": NUMBER, "allowance_quantity": NUMBER, "pay_as_you_go": TEXT},
            **{"cycle_start": INSTANT, "cycle_end": INSTANT, "is_partial": pa.bool_()},
            **{"meter_id": TEXT, "extra": TEXT},
        }
    )
}

IDS = frozenset({"account_id", "meter_id", "meter_key"})


class Meters(VendorClient):
    """One organization API key."""

    name, title = READINGS.source, "Atlassian's meters API"
    address_setting = "ATLASSIAN_ADMIN_URL"
    shape_settings = "what ATLASSIAN_ADMIN_URL and METERS_API_FILE say"
    budget_setting = "ATLASSIAN_ADMIN_REQUESTS_PER_MINUTE"
    status_page = "https://status.atlassian.com"
    wait_headers = ("Retry-After", "X-RateLimit-Reset")
    advice: ClassVar = {
        401: "The organization API key is not valid, or expired (it lives a year at most): make "
        "another at admin.atlassian.com, Settings, API keys, and set ATLASSIAN_ORG_API_KEY.",
        403: "The key may not read this: it has to be of an admin of this organization.",
        404: "Either ATLASSIAN_ORG_ID is not the organization of this key, or a path in "
        "METERS_API_FILE is not the API's. This is no sign of zero usage.",
    }

    def __init__(self, account: Account[Settings]) -> None:
        its, api_key = account.settings, account.settings.api_key
        self._api = its.api
        rate = Rate(its.requests_per_minute, Duration.MINUTE)
        budget = Budget(account.budgets, "atlassian_meters", api_key, [rate])
        headers = {"Authorization": f"Bearer {api_key}"}
        super().__init__(account, its.base_url, headers, [api_key], budget)
        if ":" in api_key or "@" in api_key:
            raise self.error(
                "key",
                "ATLASSIAN_ORG_API_KEY is an email with an API token",
                "Set an organization API key alone, from admin.atlassian.com, Settings, API keys; "
                "an email and its token are for Forge (ATLASSIAN_EMAIL, ATLASSIAN_API_TOKEN).",
                401,
            )

    def scopes(self, endpoint: Endpoint) -> Sequence[str]:
        """The organizations of ATLASSIAN_ORG_ID."""
        return org_ids(self.account)

    def probe(self) -> Iterable[object]:
        """The meters that the first organization has."""
        of_first = {"org_id": org_ids(self.account)[0], "meter_key": self._api.meters[0].key}
        return self._items("find_meter", of_first)

    def readings(
        self, org_id: str, account_ids: Iterable[str], window: Window
    ) -> Iterator[pa.Table | Note]:
        """What the organization and its accounts used of every declared meter in their cycle.

        The rows are of `window`'s day, on which they are read. A Note names accounts in error.
        """
        for meter in self._api.meters:
            values = {"org_id": org_id, "meter_key": meter.key, "window": window}
            found = self._meter(values)
            values["meter_id"] = found["meter_id"]
            page = partial(self._page, meter, values, self._clock())
            (whole,) = self._items("organization", values)
            yield page([found | whole])
            known = [*dict.fromkeys([*account_ids, *self._listed(values)])]
            cycle = {name: whole[name] for name in ("cycle_start", "cycle_end")}
            for first in range(0, len(known), at_once := self._api.accounts_at_once):
                ids = known[first : first + at_once]
                fine = self._accounts(ids, known, values)
                yield page(cycle | each for each in fine.values())
                if unread := [account_id for account_id in ids if account_id not in fine]:
                    yield Note(
                        f"{self.name} {org_id}: {len(unread)} of {len(ids)} accounts of "
                        f"{meter.key} in error, or not answered ({', '.join(unread[:5])}): the "
                        "next reading has what they used"
                    )

    def _accounts(
        self, ids: list[str], known: list[str], values: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """What some of the known accounts used, by their ids; not of those in error."""
        told = [*self._items("accounts", {**values, "account_ids": ids})]
        answered = [each.get("account_id", ids[0]) for each in told]
        if others := [account_id for account_id in answered if account_id not in known]:
            what = f"it has account {others[0]}, which was not asked for"
            raise self.undocumented("accounts of {org_id}, {window}".format(**values), what)
        return {each["account_id"]: each for each in told if not each.get("error")}

    def _meter(self, values: Mapping[str, Any]) -> dict[str, Any]:
        told = [*self._items("find_meter", values)]
        found = {
            each["meter_id"]: each for each in told if each["meter_key"] == values["meter_key"]
        }
        about = "meter {meter_key} of {org_id}, {window}".format(**values)
        if len(found) > 1:
            raise self.undocumented(about, f"there is more than one: {', '.join(sorted(found))}")
        if found:
            return found.popitem()[1]
        others = ", ".join(sorted({each["meter_key"] for each in told})) or "none at all"
        raise self.error(
            about,
            f"the organization has no such meter, but {others}",
            "Correct meters.key in METERS_API_FILE.",
        )

    def _listed(self, values: Mapping[str, Any]) -> Iterator[str]:
        if self._api.list_accounts:
            yield from (each["account_id"] for each in self._items("list_accounts", values))

    def _items(self, name: str, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The fields of every item of every page, with what else it says in `extra`."""
        operation = self._api.operations[name]
        about = f"{name} of {values['org_id']}, {values.get('window', 'now')}"
        cursor, seen = None, set[Any]()
        while True:
            filled = {"cursor": cursor, "meter_id": None, "account_ids": [], **values}
            path, request = operation.path_for(filled), operation.request(filled)
            body = self.ask(operation.method, path, about, **request)
            answer = self.decoded(body, object, about)
            items = declared.pointed(answer, operation.items) if operation.items else [answer]
            if not isinstance(items, list):
                raise self._lacks(about, f"{name}.items", operation.items, body)
            yield from (self._fields(name, operation, item, about) for item in items)
            if not (cursor := operation.next_of(answer)):
                if elsewhere := operation.next_elsewhere(answer):
                    where = f"{name}.next_cursor, which may be {elsewhere}"
                    raise self._lacks(about, where, operation.next_cursor or "''")
                return
            if not isinstance(cursor, str | int):
                raise self.undocumented(about, f"{name}.next_cursor is no text ({cursor})")
            if cursor in seen:
                what = f"page {len(seen) + 1} names an earlier page as the next one"
                raise self.endless(about, what)
            seen.add(cursor)

    def _fields(
        self, name: str, operation: declared.Operation, item: Any, about: str
    ) -> dict[str, Any]:
        told = {field: declared.pointed(item, at) for field, at in operation.fields.items() if at}
        found = {field: value for field, value in told.items() if value is not None}
        for field in () if "error" in found else declared.REQUIRED[name]:
            if field not in found:
                raise self._lacks(about, f"{name}.fields.{field}", operation.fields[field])
        for field in IDS & found.keys():
            if not isinstance(found[field], str | int):
                raise self.undocumented(about, f"{name}.fields.{field} is no text ({found[field]})")
            found[field] = str(found[field])
        # the name of an account is a person's
        rest = impersonal(declared.without(item, {*operation.fields.values(), "/name"}))
        return found | {"extra": self.strike(as_json(rest)) if rest else None}

    def _lacks(self, about: str, where: str, pointer: str, body: bytes = b"") -> VendorError:
        return self.undocumented(about, f"nothing is at {pointer} ({where})", body)

    def _page(
        self,
        meter: declared.Meter,
        values: Mapping[str, Any],
        read_at: datetime,
        told: Iterable[Mapping[str, Any]],
    ) -> pa.Table:
        """Rows of raw.platform_readings; a VendorError where a value is none that it can be."""
        same = {
            "org_id": values["org_id"],
            "usage_type": meter.usage_type,
            "unit": meter.unit,
            "meter_id": values["meter_id"],
            "bucket_start": values["window"].since,
            "read_at": read_at,
        }
        rows = []
        for each in told:
            try:
                rows.append(same | self._row(each, read_at))
            except (ArithmeticError, ValueError) as error:
                about = "{meter_key} of {org_id}, {window}".format(**values)
                whose = f"account {each['account_id']}: " if "account_id" in each else ""
                raise self.undocumented(about, f"{whose}{error}") from None
        return pa.Table.from_pylist(rows, READINGS.schema)

    def _row(self, told: Mapping[str, Any], read_at: datetime) -> dict[str, Any]:
        start, end = declared.instant(told["cycle_start"]), declared.instant(told["cycle_end"])
        if not start or not end or not start <= read_at < end:
            raise ValueError(f"a cycle from {start} to {end} is not the current")
        extra_use, account_id = told.get("pay_as_you_go"), told.get("account_id")
        is_text = extra_use is None or isinstance(extra_use, str)
        return {
            "account_id": account_id,
            "used": declared.quantity(told["used"]),
            "limit_quantity": declared.quantity(told.get("limit")),
            "allowance_quantity": declared.quantity(told.get("allowance")),
            "pay_as_you_go": extra_use if is_text else as_json(extra_use),
            "cycle_start": start,
            "cycle_end": end,
            "is_partial": bool(account_id) and start.date() < self._api.accounts_complete_since,
            "extra": told["extra"],
        }
