"""Bitbucket Cloud REST: its endpoints, its paging, as Arrow pages for raw.bitbucket_*.

Reference: https://developer.atlassian.com/cloud/bitbucket/rest/ (Workspaces, Repositories,
Pipelines). Not here: large file storage, which no call of this API knows, and what a build minute
counts for (a run's seconds say nothing of the runner's size).
"""

import base64
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, TypeVar, cast
from urllib.parse import quote, urlencode

import httpx
import pyarrow as pa
from pyrate_limiter import Duration, Rate

import pipelines.bitbucket.records as records
from pipelines.bitbucket import REPOSITORIES, RUNS, WORKSPACES, Settings
from pipelines.decode import table_of
from pipelines.endpoint import Endpoint
from pipelines.http import Budget, VendorClient, VendorError, may_tell_of_pages
from pipelines.source import Account, Note, PartialAnswerError, RefusedError
from pipelines.windows import Window

PER_PAGE, AT_ONCE = 100, 8
# clocks differ
AHEAD = timedelta(days=1)
# Pipelines was new in 2016
FIRST_RUNS = datetime(2016, 1, 1, tzinfo=UTC)
# the minus is in use, and in no specification of this call
NEWEST_FIRST, OLDEST_FIRST = "-created_on", "created_on"
LIKE_SECONDS = re.compile(r"build_?(second|minute|time)", re.I)
# what is written more finely than it is sorted is in order all the same
SAME_INSTANT = timedelta(seconds=1)

T = TypeVar("T")


class Bitbucket(VendorClient):
    """One Bitbucket credential: its endpoints, paged to the end, as tables of records.TABLES.

    Its token is an access token of a workspace, project or repository, or `email:api_token`. Its
    workspaces are slugs or uuids in braces; none: every workspace that the token sees.
    """

    name, title = "bitbucket", "Bitbucket"
    address_setting, budget_setting = "BITBUCKET_BASE_URL", "BITBUCKET_REQUESTS_PER_HOUR"
    status_page = "https://bitbucket.status.atlassian.com"
    advice: ClassVar = {
        401: "The token is not valid: set BITBUCKET_TOKEN to an access token of the workspace, or "
        "to email:api_token (an API token counts only with its owner's email before it).",
        403: "The token may not do this: it needs read:repository:bitbucket, "
        "read:pipeline:bitbucket and read:workspace:bitbucket (an access token: Repositories and "
        "Pipelines, read). An access token cannot list workspaces: set BITBUCKET_WORKSPACES.",
        404: "The workspace or repository is deleted or renamed, or this token does not see it: "
        "check BITBUCKET_WORKSPACES and whose token it is. This is no sign of zero usage.",
        410: "Bitbucket took this call away, or closed the account: please report the former.",
        429: "The token's requests of the last 60 minutes are spent, here or elsewhere: run the "
        f"same later, or lower {budget_setting}.",
    }

    def __init__(self, account: Account[Settings]) -> None:
        its, token = account.settings, account.settings.token
        self._asked_workspaces = its.workspaces
        self._told: dict[str, Any] = {}
        self._owners: dict[str, tuple[str, records.Repository]] = {}
        self._refusals: list[VendorError] = []
        self._is_answered = self._by_slug = False
        self._sort = NEWEST_FIRST
        self._origin = _origin(httpx.URL(its.base_url))
        encoded = base64.b64encode(token.encode()).decode()
        rate = Rate(its.requests_per_hour, Duration.HOUR)
        super().__init__(
            account,
            its.base_url,
            {"Authorization": f"Basic {encoded}" if ":" in token else f"Bearer {token}"},
            [token, encoded, token.partition(":")[2]],
            Budget(account.budgets, "bitbucket", token, [rate]),
        )

    def scopes(self, endpoint: Endpoint) -> Sequence[str]:
        """The uuids of the workspaces of BITBUCKET_WORKSPACES, or else all that the token sees; of
        runs those of their repositories."""
        if endpoint == WORKSPACES:
            return super().scopes(endpoint)
        return self.repository_uuids() if endpoint == RUNS else self.workspace_uuids()

    def probe(self) -> Iterable[object]:
        """The workspaces."""
        return self.workspaces()

    # -- names --------------------------------------------------------------------------------

    def workspace_uuids(self) -> list[str]:
        """The configured workspaces, or else all that the token sees: uuids outlive a renaming.

        One that is not there is called as it was given, and refused when it is asked about.
        """
        if self._asked_workspaces:
            # one of them may be named by its slug and by its uuid
            found, refused = self._each(self._uuid_of, self._asked_workspaces)
            return [*dict.fromkeys([*found, *refused])]
        return self._once("workspaces of this token", self._seen_workspaces)

    def _seen_workspaces(self) -> list[str]:
        params = {"sort": "slug", "pagelen": PER_PAGE}
        about = "workspaces of this token"
        pages = self._walk("user/workspaces", params, about, records.Page[records.WorkspaceAccess])
        seen = [access.workspace.workspace_uuid for page in pages for access in page.values]
        if not seen:  # those that it saw before would be told to have ended
            advice = "Check whose token BITBUCKET_TOKEN is. This is no sign of zero usage."
            raise self.error(about, "it sees none", advice)
        return seen

    def workspaces(self) -> Iterator[pa.Table]:
        """The workspaces with their names, one request each; the list of them has none."""
        found, refused = self._each(self._workspace, self.workspace_uuids())
        yield table_of(WORKSPACES.schema, found, "workspace")
        if refused:
            raise PartialAnswerError("; ".join(map(str, refused.values())), refused.values())

    def repositories(self, workspace: str) -> Iterator[pa.Table]:
        """The repositories that a workspace has now. Deleted ones are not listed, and have used."""
        found, uuid = self._listed(workspace), self._uuid_of(workspace)
        yield table_of(REPOSITORIES.schema, found, "repository", workspace_uuid=uuid)

    def repository_uuids(self) -> list[str]:
        """The repositories of every workspace, a uuid outlives a move; and the workspaces that
        could not be listed, which are refused when they are asked about."""
        listed, refused = self._each(self._listed, self.workspace_uuids())
        return [*dict.fromkeys(r.repository_uuid for some in listed for r in some), *refused]

    def _each(
        self, ask: Callable[[str], T], workspaces: Iterable[str]
    ) -> tuple[list[T], dict[str, VendorError]]:
        """The answers, and refusals by workspace; what ends the run of all is one of all."""
        found, refused = [], {}
        for workspace in workspaces:
            try:
                found.append(ask(workspace))
            except VendorError as error:
                if error.status == 401 or self._ended:
                    raise
                refused[workspace] = error
        return found, refused

    def _listed(self, workspace: str) -> list[records.Repository]:
        """The repositories of a workspace, listed once."""
        about = f"repositories of {workspace}"

        def listed() -> list[records.Repository]:
            uuid = self._uuid_of(workspace)
            # unsorted pages come in no stable order: some repositories twice, others never
            params = {"sort": "created_on", "pagelen": PER_PAGE}
            path = f"repositories/{quote(uuid, '')}"
            pages = self._walk(path, params, about, records.Page[records.Repository])
            found = [repository for page in pages for repository in page.values]
            self._owners |= {each.repository_uuid: (uuid, each) for each in found}
            return found

        return self._once(about, listed)

    def _once(self, about: str, ask: Callable[[], T]) -> T:
        """What is asked once a run, an answer or a refusal."""
        if about not in self._told:
            try:
                self._told[about] = ask()
            except VendorError as error:
                self._told[about] = error
        if isinstance(found := self._told[about], VendorError):
            raise found
        return cast(T, found)

    def _uuid_of(self, workspace: str) -> str:
        return workspace if workspace.startswith("{") else self._workspace(workspace).workspace_uuid

    def _workspace(self, key: str) -> records.Workspace:
        """A workspace by slug or uuid, asked for once."""
        path, about = f"workspaces/{quote(key, '')}", f"workspace {key}"
        found = self._once(about, lambda: self.get_as(records.Workspace, path, about))
        if key.startswith("{") and found.workspace_uuid != key:
            raise self.undocumented(about, f"it has workspace {found.workspace_uuid}")
        self._told.setdefault(f"workspace {found.workspace_uuid}", found)
        return found

    # -- usage --------------------------------------------------------------------------------

    def runs(
        self,
        repository: str,
        since: datetime,
        now: datetime,
        window: Window | None = None,
        said: Collection[str] | None = None,
    ) -> Iterator[pa.Table | Note]:
        """The runs of a listed repository, newest first, until they are older than `since`.

        `window` is what they are asked for, as errors name it; `said` are runs that said seconds
        before, None where no run was seen: a Note tells if none of them says any.

        A run may come twice; what comes later is newer. One that is dated after `now`, or before
        there were any, cannot be: it is left out, and a Note names it. RefusedError where the
        repository is a 403 or a 404 although it is listed: not for this token, or without
        Pipelines, or in a bad moment.
        """
        if repository not in self._owners:
            self._listed(repository)  # a workspace that cannot be listed
        workspace, listed = self._owners[repository]
        if len(self._refusals) >= AT_ONCE:
            first = self._refusals[0]
            raise VendorError(str(first), first.status, first.about, first.why)
        name = listed.full_name or repository
        about = f"pipelines of repository {name}, {window or f'since {since:%Y-%m-%dT%H:%MZ}'}"
        # of a repository that was seen before it was told
        silent, has_seconds = 0, said is not None
        try:
            for runs in self._runs_of(repository, about, since, now):
                told = [run for run in runs if since <= run.created_on <= now + AHEAD]
                silent += self._without_seconds(told, said or (), about)
                has_seconds |= any(run.build_seconds_used is not None for run in told)
                yield records.runs_table(workspace, repository, told)
                yield from (_misdated(name, run) for run in runs if not _may_be(run, now))
        except VendorError as error:
            # so many in a row: it is down, or the token may read none of the first ones
            if error.status != 404 and not (error.status == 403 and self._is_answered):
                self._refusals.append(error)
            if error.status not in (403, 404):
                raise
            raise RefusedError(error, repository) from None
        self._is_answered = True
        self._refusals.clear()
        if silent and not has_seconds:
            yield Note(
                f"bitbucket {name}: none of its {silent} runs that ended has build_seconds_used, "
                "which is right where all of them ran on runners of your own"
            )

    def _without_seconds(
        self, runs: Iterable[records.Run], said: Collection[str], about: str
    ) -> int:
        """How many have ended without seconds, as on somebody's own runner; a VendorError where one
        had some before, or has what is called like them."""
        silent = [run for run in runs if run.is_silent]
        for run in silent:
            others = (name for name, told in run.unknown_fields.items() if told)
            before = "it had before" if run.uuid in said else ""
            if but := next(filter(LIKE_SECONDS.search, others), before):
                what = f"run {run.uuid} has ended and has no build_seconds_used, but {but}"
                raise self.undocumented(about, what)
        return len(silent)

    def runs_again(
        self, repository: str, runs: Collection[str], said: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        """These runs as they are now, one request each; none where one is gone. `said` are runs
        that said seconds before."""
        workspace, _ = self._owners[repository]
        path = self._pipelines_path(repository)
        for run_uuid in runs:
            told = self._run(path, run_uuid)
            self._without_seconds(told, said, f"pipeline {run_uuid}")
            yield records.runs_table(workspace, repository, told)

    def _runs_of(
        self, repository: str, about: str, since: datetime, now: datetime
    ) -> Iterator[list[records.Run]]:
        """The runs, page by page, back to `since`."""
        try:
            yield from self._back_to(
                since, now, self._pages_of_runs(self._pipelines_path(repository), about)
            )
        except VendorError as error:
            if error.status != 404 or self._is_answered or self._by_slug:
                raise
            # a uuid outlives a renaming, but of this call only the slug is documented
            path = self._pipelines_path(repository, by_slug=True)
            yield from self._back_to(since, now, self._pages_of_runs(path, about))
            self._by_slug = True

    def _pages_of_runs(self, path: str, about: str) -> Iterator[records.Page[records.Run]]:
        # the `created_on` filter is documented without a meaning: an instant, or a day, or "since"?
        params = {"sort": self._sort, "pagelen": PER_PAGE}
        try:
            yield from self._walk(path, params, about, records.Page[records.Run])
        except VendorError as error:
            if error.status != 400 or params["sort"] == OLDEST_FIRST:
                raise
            self._sort = params["sort"] = OLDEST_FIRST
            yield from self._walk(path, params, about, records.Page[records.Run])

    def _back_to(
        self, since: datetime, now: datetime, pages: Iterable[records.Page[records.Run]]
    ) -> Iterator[list[records.Run]]:
        """The runs page by page, up to the page on which they are older than `since`.

        All of them where they do not come newest first, though that was asked for.
        """
        rises = falls = False
        before: list[datetime] = []
        for page in pages:
            created = [run.created_on for run in page.values if _may_be(run, now)]
            yield page.values
            rises |= any(later - earlier > SAME_INSTANT for earlier, later in pairwise(created))
            falls |= any(later < earlier for earlier, later in pairwise([*before, *created]))
            if falls and not rises and any(instant < since for instant in created):
                return
            before = created[-1:] or before

    def _run(self, path: str, run_uuid: str) -> list[records.Run]:
        """One run; none where it is gone, or not for this token."""
        try:
            address = f"{path}/{quote(run_uuid, '')}"
            return [self.get_as(records.Run, address, f"pipeline {run_uuid}")]
        except VendorError as error:
            if error.status in (403, 404):
                return []
            raise

    def _pipelines_path(self, repository: str, by_slug: bool = False) -> str:
        workspace, listed = self._owners[repository]
        key = _slug(listed) if by_slug or self._by_slug else repository
        return f"repositories/{quote(workspace, '')}/{quote(key, '')}/pipelines"

    # -- paging -------------------------------------------------------------------------------

    def _walk(
        self, path: str, params: dict[str, Any], about: str, kind: type[records.Page[T]]
    ) -> Iterator[records.Page[T]]:
        """Every page; the next one is asked for when the caller wants it, and not before."""
        asked: list[str] = []
        following, seen = f"{path}?{urlencode(params)}", 0
        while following:
            if following in asked:
                what = f"page {len(asked)} names an earlier page as the next one"
                raise self.endless(about, what)
            asked.append(following)
            page = self.get_as(kind, following, about)
            yield page
            seen += len(page.values)
            if page.next:
                following = self._following(page, params, about)
            else:
                if len(asked) == 1 and page.size is None:
                    is_full = seen == (page.pagelen or params["pagelen"])
                    is_doubtful = is_full or may_tell_of_pages(page.unknown_fields)
                    ask = partial(self._names_next, path, params, about, kind)
                    self.prove_last(about, seen, is_doubtful, ask)
                # `next` was missing where `size` says that there is more (BCLOUD-20639)
                is_last = not page.values or page.size is None or page.size <= seen
                number = {"page": len(asked) + 1}
                following = "" if is_last else f"{path}?{urlencode(params | number)}"

    def _names_next(
        self, path: str, params: dict[str, Any], about: str, kind: type[records.Page[T]], most: int
    ) -> bool:
        """Whether a first page of so many names the next one, or has fewer after all."""
        page = self.get_as(kind, f"{path}?{urlencode(params | {'pagelen': most})}", about)
        return bool(page.next) or len(page.values) < most

    def _following(self, page: records.Page[Any], params: dict[str, Any], about: str) -> str:
        """The address of the next page, followed as it is, but for lists of pipelines.

        In September 2026 theirs named no `sort`, which turns the order round in the middle of a
        walk.
        """
        url = self._own(str(page.next), about)
        if "page" not in url.params:
            return str(page.next)
        lost = {"sort": params["sort"], "pagelen": page.pagelen or params["pagelen"]}
        for name in lost.keys() - url.params.keys():
            url = url.copy_set_param(name, lost[name])
        return str(page.next) if url == httpx.URL(str(page.next)) else str(url)

    def _own(self, address: str, about: str) -> httpx.URL:
        """The address as a URL, where it is Bitbucket's own: the token goes nowhere else."""
        try:
            url = httpx.URL(address)
            if _origin(url) == self._origin:
                return url
            where = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
        except httpx.InvalidURL:
            where = repr(address[:80])
        raise self.error(
            about,
            f"the next page is said to be at {where}, which is not BITBUCKET_BASE_URL",
            "It was not asked, and the token was not sent there: please report it.",
        )


def _may_be(run: records.Run, now: datetime) -> bool:
    return FIRST_RUNS <= run.created_on <= now + AHEAD


def _misdated(name: str, run: records.Run) -> Note:
    when = "before there were any" if run.created_on < FIRST_RUNS else "which is yet to come"
    return Note(
        f"bitbucket run {run.uuid} of {name} is dated {run.created_on:%Y-%m-%dT%H:%MZ}, {when}: "
        "it counts for nothing. Report it to Bitbucket; its other runs count."
    )


def _slug(repository: records.Repository) -> str:
    """Its short name in addresses; the specification has it in the full name only."""
    slug = repository.slug or (repository.full_name or "").rpartition("/")[2]
    return slug or repository.repository_uuid


def _origin(url: httpx.URL) -> tuple[str, str, int | None, bytes]:
    """Scheme, host, port, and no user: one in an address would replace the token."""
    return url.scheme, url.host, url.port, url.userinfo
