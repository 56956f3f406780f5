"""`python -m tests.sandbox [OPTIONS] -- COMMAND`: runs COMMAND against the stand-in vendors."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import click

from tests.sandbox import platform_exports
from tests.sandbox.atlassian_usage import UNITS, UNKNOWN_TYPE
from tests.sandbox.company import Company
from tests.sandbox.server import serve


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--seed", default=7, show_default=True, help="Another seed, another company.")
@click.option("--orgs", default=2, show_default=True, help="Organizations.")
@click.option("--projects", default=40, show_default=True, help="Projects over all orgs.")
@click.option("--branches", default=3, show_default=True, help="Branches per project, about.")
@click.option("--apps", default=2, show_default=True, help="Forge apps; 0: Forge is not set up.")
@click.option("--requests-per-minute", type=int, help="Consumption rate limit; none by default.")
@click.option("--legacy-account", is_flag=True, help="With the account endpoint Neon removed.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def main(
    seed: int,
    orgs: int,
    projects: int,
    branches: int,
    apps: int,
    requests_per_minute: int | None,
    legacy_account: bool,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND with its settings pointed at stand-in vendors on this machine.

    They serve a simulated company up to the present moment. Without COMMAND: until Ctrl-C.
    """
    company = Company(seed, orgs, projects, branches, oddities=False, apps=apps)
    options = {"requests_per_minute": requests_per_minute, "legacy_account": legacy_account}
    with serve(company, **options) as sandbox:
        about = f"{orgs} orgs, {projects} projects, seed {seed}"
        click.echo(f"sandbox: stand-in Neon at {sandbox.base_url} ({about})", err=True)
        if apps:
            where = sandbox.environment["ATLASSIAN_GRAPHQL_URL"]
            click.echo(f"sandbox: stand-in Atlassian at {where} ({apps} Forge apps)", err=True)
        if command:
            environment = {**os.environ, **sandbox.environment}
            environment["PLATFORM_USAGE_DIR"] = str(_exports(company))
            signal.signal(signal.SIGINT, lambda *_: None)  # the command has it too, and ends
            code = subprocess.run(command, env=environment, check=False).returncode
        else:
            for name, value in sandbox.environment.items():
                click.echo(f"export {name}={value}")
            code = _wait_for_interrupt()
    sys.exit(code)


def _exports(company: Company) -> Path:
    """A folder beside the warehouse with what an admin exported; made once, so that it stays."""
    warehouse = Path(os.environ.get("WAREHOUSE", "warehouse/sandbox.duckdb"))
    folder = warehouse.parent / "sandbox_platform_usage"
    if not folder.is_dir():
        known = [name for name in UNITS if name != UNKNOWN_TYPE]
        platform_exports.write(company.atlassian, folder, usage_types=known)
    return folder


def _wait_for_interrupt() -> int:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    main()
