"""Runs programs one after the other, A B A B, each in a process of its own, and reads its cost."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

Command = Sequence[str]


@dataclass(frozen=True)
class Cost:
    """Seconds, megabytes at the peak, and what the program printed of itself as JSON, last."""

    wall: float
    cpu: float
    peak: float
    told: Mapping[str, float]


def module(name: str, *arguments: object) -> Command:
    """A module of the benchmarks, run as a program."""
    return [sys.executable, "-m", f"tests.benchmarks.{name}", *map(str, arguments)]


def run(command: Command) -> Cost:
    """Run a program to its end; one that fails is an error."""
    # compiled imports are kept, as they are wherever somebody does not ask otherwise
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = monotonic()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        printed = process.stdout.read().splitlines()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {process.returncode}")
    told = json.loads(printed[-1]) if printed and printed[-1].startswith("{") else {}
    peak = used.ru_maxrss / 1024
    return Cost(monotonic() - started, used.ru_utime + used.ru_stime, peak, told)


def alternate(commands: Mapping[str, Command], rounds: int = 2) -> dict[str, list[Cost]]:
    """A B A B: what others do on the machine meanwhile meets all of them."""
    found: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            cost = run(command)
            print(f"  {name}: {cost.wall:.1f} s, CPU {cost.cpu:.1f} s", file=sys.stderr)
            found[name].append(cost)
    return found
