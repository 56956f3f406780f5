"""Bitbucket Cloud REST: its endpoints, its paging, as Arrow pages for raw.bitbucket_*.

Reference: https://developer.atlassian.com/cloud/bitbucket/rest/ (Workspaces, Repositories,
Pipelines). Not here: large file storage, which no call of this API knows, and what a build minute
counts for (a run's seconds say nothing of the runner's size).
"""

import base64
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlencode

import httpx
import pyarrow as pa
from pyrate_limiter import Duration, Rate

import pipelines.bitbucket.records as records
from pipelines.http import Budget, VendorClient, VendorError
from pipelines.source import Note, PartialAnswerError

PER_PAGE, AT_ONCE = 100, 8
# repositories that a note names
NAMED = 5
# the minus is in use, and in no specification of this call
NEWEST_FIRST, OLDEST_FIRST = "-created_on", "created_on"
# what is written more finely than it is sorted is in order all the same
SAME_INSTANT = timedelta(seconds=1)

P = TypeVar("P", bound=records.Page)


class Bitbucket(VendorClient):
    """One Bitbucket credential: its endpoints, paged to the end, as tables of records.TABLES.

    `token` is an access token of a workspace, project or repository, or `email:api_token`.
    `workspaces` are slugs or uuids in braces; none: every workspace that the token sees.
    `unanswered` are the repositories whose runs were a 403 or a 404 when last asked for.
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

    def __init__(
        self,
        token: str,
        workspaces: Sequence[str],
        base_url: str,
        requests_per_hour: int,
        state_dir: Path,
        backoff_seconds: float = 1.0,
    ) -> None:
        self.unanswered: dict[str, VendorError] = {}
        self._asked_workspaces = tuple(workspaces)
        self._workspaces: dict[str, records.Workspace] = {}
        self._slugs: dict[str, str] = {}
        self._sort = NEWEST_FIRST
        self._origin = _origin(httpx.URL(base_url))
        encoded = base64.b64encode(token.encode()).decode()
        super().__init__(
            base_url,
            {"Authorization": f"Basic {encoded}" if ":" in token else f"Bearer {token}"},
            [token, encoded, token.partition(":")[2]],
            Budget(state_dir, "bitbucket", token, [Rate(requests_per_hour, Duration.HOUR)]),
            backoff_seconds=backoff_seconds,
        )

    # -- names --------------------------------------------------------------------------------

    def workspace_uuids(self) -> list[str]:
        """The configured workspaces, or else all that the token sees: uuids outlive a renaming."""
        if self._asked_workspaces:
            # one of them may be named by its slug and by its uuid
            return [*dict.fromkeys(map(self._uuid_of, self._asked_workspaces))]
        params = {"sort": "slug", "pagelen": PER_PAGE}
        about = "workspaces of this token"
        pages = self._walk("user/workspaces", params, about, records.WorkspacesPage)
        return [access.workspace.workspace_uuid for page in pages for access in page.values]

    def workspaces(self) -> Iterator[pa.Table]:
        """The workspaces with their names, one request each; the list of them has none."""
        yield records.workspaces_table(map(self._workspace, self.workspace_uuids()))

    def repositories(self, workspace: str) -> Iterator[pa.Table]:
        """The repositories that a workspace has now. Deleted ones are not listed, and have used."""
        uuid = self._uuid_of(workspace)
        for page in self._repository_pages(uuid, f"repositories of {workspace}"):
            yield records.repositories_table(uuid, page.values)

    def _repository_pages(self, uuid: str, about: str) -> Iterator[records.RepositoriesPage]:
        # unsorted pages come in no stable order: some repositories twice, others never
        params = {"sort": "created_on", "pagelen": PER_PAGE}
        path = f"repositories/{quote(uuid, '')}"
        return self._walk(path, params, about, records.RepositoriesPage)

    def _uuid_of(self, workspace: str) -> str:
        return workspace if workspace.startswith("{") else self._workspace(workspace).workspace_uuid

    def _workspace(self, key: str) -> records.Workspace:
        """A workspace by slug or uuid, asked for once."""
        if key not in self._workspaces:
            path = f"workspaces/{quote(key, '')}"
            found = self.get_as(records.Workspace, path, f"workspace {key}")
            self._workspaces[key] = self._workspaces[found.workspace_uuid] = found
        return self._workspaces[key]

    # -- usage --------------------------------------------------------------------------------

    def runs(
        self,
        workspace: str,
        repositories: Mapping[str, str | None],
        since: datetime,
        until: datetime,
    ) -> Iterator[pa.Table | Note]:
        """The runs of these repositories that were created in `[since, until)`, newest first.

        `repositories` are uuids with their names, for people. A run may come twice; what comes
        later is newer. A repository that is a 403 or a 404 is left out, and a Note names it: not
        for this token; deleted, or without Pipelines. PartialAnswerError where all of them are, or
        any is a 403: that one is not told.
        """
        uuid = self._uuid_of(workspace)
        ask = partial(self._runs_of, uuid, since=since, until=until)
        yield from self._each(ask, [*repositories])
        if repositories and self.unanswered.keys() >= repositories.keys():
            # a uuid outlives a renaming, but of this call only the slug is documented
            pages = self._repository_pages(uuid, f"repositories of {workspace}")
            self._slugs |= {r.repository_uuid: _slug(r) for page in pages for r in page.values}
            yield from self._each(ask, [r for r in repositories if r in self._slugs])
        errors = {r: self.unanswered[r] for r in repositories if r in self.unanswered}
        if errors:
            yield _without_answer(errors, repositories)
        is_refused = any(error.status == 403 for error in errors.values())
        if is_refused or (errors and len(errors) == len(repositories)):
            raise PartialAnswerError(
                f"bitbucket pipelines of {workspace}: {len(errors)} of {len(repositories)} "
                "repositories did not answer; what the others said is kept, but these days do not "
                "count as asked"
            )

    def _each(
        self, ask: Callable[[str], list[pa.Table]], repositories: Sequence[str]
    ) -> Iterator[pa.Table]:
        """Several at once, and no more where the token may read none of the first ones."""
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for start in range(0, len(repositories), AT_ONCE):
                some = repositories[start : start + AT_ONCE]
                for tables in pool.map(ask, some):
                    yield from tables
                errors = [self.unanswered.get(repository) for repository in some]
                refusals = [error for error in errors if error and error.status == 403]
                if start == 0 and len(refusals) == len(some):
                    raise refusals[0]

    def runs_again(self, workspace: str, runs: Mapping[str, Collection[str]]) -> Iterator[pa.Table]:
        """These runs (by repository) as they are now, one request each; none where one is gone."""
        uuid = self._uuid_of(workspace)
        for repository_uuid, run_uuids in runs.items():
            path = self._pipelines_path(uuid, repository_uuid)
            found = [run for run_uuid in sorted(run_uuids) for run in self._run(path, run_uuid)]
            yield records.runs_table(uuid, repository_uuid, found)

    def _runs_of(
        self, workspace_uuid: str, repository_uuid: str, since: datetime, until: datetime
    ) -> list[pa.Table]:
        """A table per page; what there was before a page that did not answer."""
        found: list[list[records.Run]] = []
        path = self._pipelines_path(workspace_uuid, repository_uuid)
        about = f"pipelines of repository {repository_uuid} since {since:%Y-%m-%dT%H:%MZ}"
        self.unanswered.pop(repository_uuid, None)
        try:
            for runs in self._back_to(since, self._pages_of_runs(path, about)):
                found.append([run for run in runs if since <= run.created_on < until])
        except VendorError as error:
            if error.status not in (403, 404):
                raise
            self.unanswered[repository_uuid] = error
        return [records.runs_table(workspace_uuid, repository_uuid, runs) for runs in found if runs]

    def _pages_of_runs(self, path: str, about: str) -> Iterator[records.RunsPage]:
        # the `created_on` filter is documented without a meaning: an instant, or a day, or "since"?
        params = {"sort": self._sort, "pagelen": PER_PAGE}
        try:
            yield from self._walk(path, params, about, records.RunsPage)
        except VendorError as error:
            if error.status != 400 or params["sort"] == OLDEST_FIRST:
                raise
            self._sort = params["sort"] = OLDEST_FIRST
            yield from self._walk(path, params, about, records.RunsPage)

    def _back_to(
        self, since: datetime, pages: Iterable[records.RunsPage]
    ) -> Iterator[list[records.Run]]:
        """The runs page by page, up to the page on which they are older than `since`.

        All of them where they do not come newest first, though that was asked for.
        """
        rises = falls = False
        before: list[datetime] = []
        for page in pages:
            created = [run.created_on for run in page.values]
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

    def _pipelines_path(self, workspace_uuid: str, repository_uuid: str) -> str:
        key = self._slugs.get(repository_uuid, repository_uuid)
        return f"repositories/{quote(workspace_uuid, '')}/{quote(key, '')}/pipelines"

    # -- paging -------------------------------------------------------------------------------

    def _walk(self, path: str, params: dict[str, Any], about: str, kind: type[P]) -> Iterator[P]:
        """Every page; the next one is asked for when the caller wants it, and not before."""
        asked: list[str] = []
        following, seen = f"{path}?{urlencode(params)}", 0
        while following:
            if following in asked:
                raise self.error(
                    about,
                    f"page {len(asked)} names an earlier page as the next one",
                    "The walk cannot be complete: try again; report it to Bitbucket if it stays.",
                )
            asked.append(following)
            page = self.get_as(kind, following, about)
            yield page
            seen += len(page.values)
            if page.next:
                following = self._following(page, params, about)
            else:
                # `next` was missing where `size` says that there is more (BCLOUD-20639)
                is_last = not page.values or page.size is None or page.size <= seen
                number = {"page": len(asked) + 1}
                following = "" if is_last else f"{path}?{urlencode(params | number)}"

    def _following(self, page: records.Page, params: dict[str, Any], about: str) -> str:
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


def _without_answer(errors: Mapping[str, VendorError], names: Mapping[str, str | None]) -> Note:
    shown = ", ".join(
        f"{names.get(uuid) or uuid} ({error.status})"
        for uuid, error in sorted(errors.items())[:NAMED]
    )
    more = f" and {len(errors) - NAMED} more" if len(errors) > NAMED else ""
    return Note(
        f"{len(errors)} repositories did not answer, and none of their runs loaded: "
        f"{shown}{more}. 403: the token may not read their pipelines; 404: deleted, or without "
        "Pipelines. What landed before stays."
    )


def _slug(repository: records.Repository) -> str:
    """Its short name in addresses; the specification has it in the full name only."""
    slug = repository.slug or (repository.full_name or "").rpartition("/")[2]
    return slug or repository.repository_uuid


def _origin(url: httpx.URL) -> tuple[str, str, int | None, bytes]:
    """Scheme, host, port, and no user: one in an address would replace the token."""
    return url.scheme, url.host, url.port, url.userinfo
