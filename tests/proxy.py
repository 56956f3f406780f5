"""A proxy that lets nothing through and remembers who was asked for."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REFUSAL = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
# where commands are, and how many threads DuckDB has
KEPT = ("PATH", "SLURM_CPUS_ON_NODE")
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass
class Proxy:
    """Where it listens, and the request lines it got: `CONNECT host:443 HTTP/1.1`."""

    address: str
    requests: list[str] = field(default_factory=list)

    def run(
        self, folder: Path, *command: str | Path, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in `folder`, with an empty home of its own and no settings but these."""
        home = folder / "home"
        home.mkdir()
        return subprocess.run(
            command,
            cwd=folder,
            env={name: os.environ[name] for name in KEPT if name in os.environ}
            | self.environment(home)
            | settings,
            capture_output=True,
            text=True,
            check=False,
        )

    def environment(self, home: Path) -> dict[str, str]:
        """What sends a process here for everything that is not on this machine."""
        names = [spelt for name in NAMES for spelt in (name, name.lower())]
        here = "127.0.0.1,localhost"
        found = dict.fromkeys(names, self.address) | {"NO_PROXY": here, "no_proxy": here}
        return found | {"HOME": str(home), "XDG_STATE_HOME": str(home / "state")}


@contextmanager
def listening() -> Iterator[Proxy]:
    """A proxy on loopback while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=_serve, args=(listener, proxy.requests), daemon=True)
        thread.start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener: socket.socket, requests: list[str]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # closed
            return
        with connection:
            requests.append(connection.recv(65536).partition(b"\r\n")[0].decode())
            connection.sendall(REFUSAL)
