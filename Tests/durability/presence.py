"""An upload takes the same steps whether its content is here already or not: who may upload and not download would learn
from other steps, by the time that they take, what others have stored (docs/security.md)."""

import json
import shutil

import journal
from control import Environment
from harness.blobd import Server
from harness.checker import PRIVATE, SETTINGS
from harness.client import Uploader
from harness.connection import Connection
from harness.ledger import Promise
from journal import Kind, Marks
from recording import Tools

SIZE = 20_000
# By what a client does: in one request, in pieces, or all before the end.
WAYS = {"whole": (), "pieces": (SIZE // 2,), "before": (SIZE // 2, SIZE)}


def run(tools: Tools) -> tuple[bool, str]:
    """The part of the test. Returns whether the steps are the same, and the lines that say it."""
    folder = tools.scratch / "presence"
    (folder / "root").mkdir(parents=True)
    trace = folder / "trace"
    marks = Marks(trace)
    environment = Environment(tools.library, folder / "root", trace=trace)
    server = Server(tools.blobd, folder / "root/data", folder / "log", environment.variables(),
                    SETTINGS + PRIVATE)
    try:
        for way, cuts in WAYS.items():
            # The first one is for what happens once, such as the growth of a file.
            for turn, key in enumerate(("warm", "here", "new", "here")):
                _upload(server, marks, f"{way}-{turn}", f"{way} {key}", cuts)
    finally:
        server.kill()
        marks.close()
    steps = _steps(journal.read(trace))
    shutil.rmtree(folder)
    lines = [f"presence: the steps of {len(WAYS)} ways to upload, each with new content and with content that is here"]
    for way in WAYS:
        new, here = steps[f"{way}-2"], steps[f"{way}-3"]
        if new != here:
            lines += [f"LOST  {way}: the steps are not the same", f"  new   {new}", f"  here  {here}"]
    return len(lines) == 1, "\n".join(lines)


def _upload(server: Server, marks: Marks, name: str, key: str, cuts: tuple[int, ...]):
    connection = Connection(server)
    uploader = Uploader(connection, Promise(name, key, SIZE), lambda *_: None)
    uploader.start()
    at = 0
    for cut in cuts:
        uploader.append(at, cut)
        at = cut
    marks.add(name=name, event="begin", value=None)
    uploader.complete(None if at == SIZE else at)
    marks.add(name=name, event="end", value=None)
    connection.close()


def _steps(entries: list[journal.Entry]) -> dict[str, list[str]]:
    """The calls between the marks of each upload, by their kind and the purpose of their file. How many pages of the
    catalog a commit writes goes by where its rows happen to lie: they count as one."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for entry in entries:
        if entry.kind is Kind.MARK:
            mark = json.loads(entry.data)
            current = found.setdefault(mark["name"], []) if mark["event"] == "begin" else None
        elif current is not None:
            step = f"{entry.kind.name} {entry.place.name}"
            if step != "WRITE WAL" or step not in current[-1:]:
                current.append(step)
    return found
