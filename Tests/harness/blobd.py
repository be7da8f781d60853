"""blobd, as a server and as a command."""

import time
from pathlib import Path

from harness.process import Process, ServerFailed, clean_environment, output, seconds_without_processor

COMMAND_LIMIT = 120.0  # seconds after which a command hangs


def as_variables(settings: dict[str, str]) -> dict[str, str]:
    """Variables of the environment for these settings of blobd: secrets among them may be in no command line."""
    return {f"BLOBD_{name.replace('-', '_').upper()}": value for name, value in settings.items()}


def run(blobd: Path, *words: str, settings: dict[str, str] | None = None) -> str:
    """Runs a command of blobd to its end; returns its output."""
    return output([blobd, *words], env=clean_environment() | as_variables(settings or {}), timeout=COMMAND_LIMIT)


class Server(Process):
    """A running server."""

    def __init__(self, blobd: Path, data: Path, log: Path, variables: dict[str, str] | None = None, options=(),
                 settings: dict[str, str] | None = None, port: int = 0, token: str = ""):
        """`variables`: of the environment, beside those of the settings; `options`: of the command line. Without a
        `token`, it is the first one, which the server leaves in `data`."""
        self.data = data
        started, waited = time.monotonic(), seconds_without_processor()
        super().__init__(
            [blobd, "serve", "--data", data, "--listen", f"127.0.0.1:{port}", "--min-free-space", "0", "--disk-reserve", "0",
             "--log-level", "warning", *options],
            log, clean_environment() | (variables or {}) | as_variables(settings or {}))
        self.port = self.wait_for(self.announced_port)
        took = time.monotonic() - started
        # The time of the start itself, however busy the machine is with other things.
        waited = seconds_without_processor() - waited + self.seconds_without_processor()
        self.start_seconds = max(0.0, took - waited)
        try:
            self.token = token or (data / "admin-token").read_text().strip()
        except FileNotFoundError as error:
            self.kill()
            raise ServerFailed("the file with the first token is gone") from error
