"""Neon's nesting of usage: billing periods of an org, in each its buckets, in each its metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from tests.sandbox.estate import Org
from tests.sandbox.question import Question
from tests.sandbox.records import text
from tests.sandbox.times import buckets, following

Values = list[tuple[str, int]]
Shown = dict[str, list[int | None]]


@dataclass(frozen=True)
class BillingPeriod:
    """A calendar month of an org, or the part of one before or after its plan changed."""

    start: datetime
    end: datetime
    plan: str

    def share(self, value: int, start: datetime, end: datetime) -> int:
        """The part of a bucket's value that falls into this period; the parts sum to the value."""
        seconds = int((end - start).total_seconds())
        before = int((max(self.start, start) - start).total_seconds())
        until = int((min(self.end, end) - start).total_seconds())
        return value * until // seconds - value * before // seconds


def billing_periods(
    org: Org, since: datetime, until: datetime, now: datetime
) -> list[BillingPeriod]:
    """The periods that touch `[since, until)` as they stand at `now`, oldest first."""
    found: list[BillingPeriod] = []
    for month in buckets("monthly", since, until):
        edges, changed_at = [month, following(month, "monthly")], org.plan_changed_at
        if changed_at and edges[0] < changed_at < edges[1] and changed_at <= now:
            edges.insert(1, changed_at)
        for start, end in pairwise(edges):
            if end > since and start < until:
                found.append(BillingPeriod(start, end, org.plan_at(start)))
    return found


def periods_as_json(
    org: Org, asked: Question, shown: Shown, now: datetime, shuffle: int
) -> list[dict[str, Any]]:
    """`shown` values by metric as Neon's `periods`; one without any usage is left out.

    The order of the metrics changes from bucket to bucket, by `shuffle`.
    """
    heads = {metric: f'{{"metric_name":"{metric}","value":' for metric in shown}

    def row(place: int, values: Values) -> str:
        items = [f"{heads[metric]}{value}}}" for metric, value in values]
        turn = (shuffle + place * 7) % len(items)
        return f'"metrics":[{",".join(items[turn:] + items[:turn])}]'

    return _periods(org, asked, shown, now, row)


def flat_periods_as_json(
    org: Org, asked: Question, shown: Shown, now: datetime
) -> list[dict[str, Any]]:
    """`shown` values in the legacy shape: metrics are columns, and zeros are there."""

    def row(place: int, values: Values) -> str:
        return ",".join(f'"{metric}":{value}' for metric, value in values)

    return _periods(org, asked, shown, now, row)


def _periods(
    org: Org, asked: Question, shown: Shown, now: datetime, row: Callable[[int, Values], str]
) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = []
    if not asked.starts:
        return answer
    metrics, columns = list(shown), list(zip(*shown.values(), strict=True))
    for period in billing_periods(org, asked.starts[0], asked.ends[-1], now):
        rows: list[str] = []
        for place, (start, end) in enumerate(zip(asked.starts, asked.ends, strict=True)):
            if end <= period.start or start >= period.end:
                continue
            pairs = zip(metrics, columns[place], strict=True)
            values = [(metric, value) for metric, value in pairs if value is not None]
            if start < period.start or end > period.end:
                values = [
                    (metric, share)
                    for metric, value in values
                    if (share := period.share(value, start, end)) or not value
                ]
            if values:
                frame = f'"timeframe_start":"{text(start)}","timeframe_end":"{text(end)}"'
                rows.append(f"{{{frame},{row(place, values)}}}")
        if rows:
            answer.append(_head(org, period, now) | {"consumption": _raw(rows)})
    return answer


def _head(org: Org, period: BillingPeriod, now: datetime) -> dict[str, Any]:
    head = {
        "period_id": str(uuid5(NAMESPACE_URL, f"{org.id}/{text(period.start)}")),
        "period_plan": period.plan,
        "period_start": text(period.start),
    }
    return head | ({"period_end": text(period.end)} if period.end <= now else {})


def _raw(rows: list[str]) -> msgspec.Raw:
    """Written here already: a page has 17,000 of these, and their numbers may pass 64 bits."""
    return msgspec.Raw(f"[{','.join(rows)}]".encode())
