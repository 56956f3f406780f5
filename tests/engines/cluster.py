"""A Spark cluster of a test's own: a master, two workers and a Connect server, on loopback."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"
WORKERS = 2
_CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
_WAIT_SECONDS = 120


@dataclass
class Cluster:
    """Its address for clients, the folder that all of it can read, and its processes by name."""

    remote: str
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def kill_worker(self, name: str) -> None:
        """End a worker and its executors with no word of farewell, as a machine does that dies."""
        worker = self.processes[name].pid
        for pid in (*_children(worker), worker):
            with suppress(ProcessLookupError):  # an executor may have ended by itself
                os.kill(pid, signal.SIGKILL)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster of two workers with a core each; its tables are below `folder`."""
    import pyspark

    home = Path(pyspark.__file__).parent
    ports = _free_ports(2 + WORKERS)
    master, connect = ports[:2]
    found = Cluster(f"sc://{LOOPBACK}:{connect}", folder)
    with ExitStack() as stack:

        def start(name: str, *arguments: str, memory: str = "256m") -> None:
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                ["nice", "-n", "5", str(home / "bin/spark-class"), *arguments],
                cwd=folder,
                env=os.environ | _environment(home) | {"SPARK_DAEMON_MEMORY": memory},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            found.processes[name] = process
            stack.callback(_end, process)

        url = f"spark://{LOOPBACK}:{master}"
        deploy = "org.apache.spark.deploy"
        start("master", f"{deploy}.master.Master", "--host", LOOPBACK, "--port", str(master))
        _until(lambda: _answers(master))
        for number, port in enumerate(ports[2:], start=1):
            start(
                *(f"worker-{number}", f"{deploy}.worker.Worker", "--host", LOOPBACK),
                *("--port", str(port), "--cores", "1", "--memory", "1g"),
                *("--work-dir", str(folder / f"work-{number}"), url),
            )
        settings = {
            "spark.connect.grpc.binding.address": LOOPBACK,
            "spark.connect.grpc.binding.port": connect,
            "spark.driver.host": LOOPBACK,
            "spark.executor.memory": "1g",
            "spark.executor.cores": 1,
            "spark.ui.enabled": False,
            "spark.sql.shuffle.partitions": 2,
            # else files of a few hundred days are listed by as many tasks
            "spark.sql.sources.parallelPartitionDiscovery.threshold": 10_000,
            "spark.sql.warehouse.dir": folder / "tables",
        }
        given = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        start(
            *("connect", f"{deploy}.SparkSubmit", "--master", url, "--class", _CONNECT),
            *(*given, "spark-internal"),
            memory="1500m",
        )
        _until(lambda: _answers(connect))
        yield found


def _environment(home: Path) -> dict[str, str]:
    return {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_MASTER_OPTS": "-Dspark.master.ui.enabled=false",
        "SPARK_WORKER_WEBUI_PORT": "0",
        "SPARK_MASTER_WEBUI_PORT": "0",
    }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex((LOOPBACK, port)) == 0


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < end, "the cluster did not start in time: see its logs"
        time.sleep(0.2)


def _children(pid: int) -> list[int]:
    """All processes below one, the latest first."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [*_children(child), child]
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    for pid in (*_children(process.pid), process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
