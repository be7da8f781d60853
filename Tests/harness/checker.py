"""Starts the real server on the data that a crash left, and holds it to its promises to clients."""

import re
import time
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from harness.blobd import Server
from harness.connection import Answer, Connection, Unanswered
from harness.ledger import Ledger, Promise
from harness.process import ServerFailed

READY_LIMIT = 2.0  # seconds from the start of the process to readiness
# Without grace, bytes that nobody has any more go at once, so that a wrong removal shows.
SETTINGS = ("--reclaim-grace", "0s", "--reclaim-interval", "1s")
# Then a blob is published by a rename, whether it is here already or not, and otherwise by a link where it is new.
PRIVATE = ("--private-downloads",)
UPLOAD_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Checker:
    """One look at one server. `losses` are sentences."""

    def __init__(self, server: Server, ledger: Ledger, names: Container[str] | None = None):
        """`names`: the promises to look at, if not all of them."""
        self._server = server
        self._connection = Connection(server)
        given = ledger.given()
        # Those whose bytes a file points at, or may.
        self._held = {promise.digest for promise in given if promise.completing and not promise.deleted}
        # Copies: changes that this check makes were promised to nobody.
        self._promises = [replace(promise) for promise in given if names is None or promise.name in names]
        self.losses: list[str] = []

    def check(self, resumes: bool = True, looks_into_folder: bool = True) -> list[str]:
        """Everything that can be asked. With `resumes`, open uploads are completed: nobody else may go on with them."""
        try:
            self._expect_ready()
            open_ = [promise for promise in self._promises if self._is_open(promise)]
            for promise in self._promises:
                self._check_removed(promise)
            if resumes:
                for promise in open_:
                    self._resume(promise)
            for promise in self._promises:
                if promise.file:
                    self._check_file(promise)
            self._check_list()
            if resumes and looks_into_folder:
                self._check_folder()
        except Unanswered as error:
            self.losses.append(f"no answer: {error}; the server said: {self._server.said()}")
        finally:
            self._connection.close()
        return self.losses

    def _lose(self, promise: Promise, sentence: str, answer: Answer | None = None):
        got = f"; the answer was {answer.text()}" if answer else ""
        self.losses.append(f"{promise.name}: {sentence}{got}")

    def _ask(self, promise: Promise, step: str, body: bytes | None = None, method: str = "POST", **headers) -> Answer:
        return self._connection.ask(method, f"/api/blobs/uploads/{promise.id}/{step}", body,
                                    PortSIP_Upload_Token=promise.token, **headers)

    def _expect_ready(self):
        # The stores are asked at most once a second: one that could not be reached a moment ago may be back.
        deadline = time.monotonic() + READY_LIMIT
        while (answer := self._connection.ask("GET", "/ready")).status != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        if answer.status != 200:
            self.losses.append(f"not ready: {answer.text()}")
        if self._server.start_seconds > READY_LIMIT:
            self.losses.append(f"ready only after {self._server.start_seconds:.2f} s")

    def _is_open(self, promise: Promise) -> bool:
        """Whether the upload goes on. Its offset is the one that was told, or more, of the bytes that were sent."""
        answer = self._ask(promise, "status", method="GET")
        is_over = promise.file or promise.destroyed
        if answer.status == 404 and not promise.failed:
            if not (is_over or promise.completing or promise.destroying):
                self._lose(promise, "an open upload is gone", answer)
            elif not is_over and not promise.destroying:
                self._complete(promise)
            return False
        if promise.failed or answer.status == 410 and promise.refused:
            self._check_failed(promise, answer)
            return False
        if answer.status != 204:
            self._lose(promise, "an open upload has failed", answer)
            return False
        if is_over:
            self._lose(promise, "an upload that was over is open again", answer)
            return False
        if not promise.told <= answer.offset <= promise.sent:
            self._lose(promise, f"told {promise.told}, sent {promise.sent}, and now it stands at {answer.offset}")
            return False
        return True

    def _check_failed(self, promise: Promise, status: Answer):
        """An upload of which the disk lost bytes has failed for good."""
        answers = [status, self._ask(promise, "append", b"more"), self._ask(promise, f"complete?digest={promise.digest}")]
        for answer in answers:
            if answer.status != 410:
                self._lose(promise, "it failed, and goes on", answer)

    def _check_removed(self, promise: Promise):
        if promise.destroyed:
            answer = self._ask(promise, f"complete?digest={promise.digest}")
            if answer.status != 404:
                self._lose(promise, "a destroyed upload can be completed", answer)
        if promise.deleted:
            answer = self._connection.ask("GET", f"/api/files/{promise.file}")
            if answer.status != 404:
                self._lose(promise, "a deleted file is there", answer)
            if promise.digest in self._held:
                return
            answer = self._connection.ask("GET", f"/api/blobs/{promise.digest}")
            if answer.status != 404:
                self._lose(promise, "the bytes of a deleted file are served", answer)

    def _resume(self, promise: Promise):
        """Sends the rest and completes: the digest shows whether the server has the right bytes."""
        answer = self._ask(promise, "status", method="GET")
        if answer.status != 204:
            return self._lose(promise, "the upload cannot go on", answer)
        offset = answer.offset
        answer = self._ask(promise, "append", promise.content[offset:], Upload_Offset=offset)
        if answer.status == 410 and promise.refused:
            return self._check_failed(promise, answer)
        if answer.status != 203:
            return self._lose(promise, f"the upload cannot go on from {offset}", answer)
        self._complete(promise)

    def _complete(self, promise: Promise):
        answer = self._ask(promise, f"complete?digest={promise.digest}")
        if answer.status == 410 and promise.refused:
            return self._check_failed(promise, answer)
        if answer.status != 201:
            return self._lose(promise, "the upload cannot be completed", answer)
        promise.completing = True
        promise.file = answer.json()["id"]

    def _check_file(self, promise: Promise):
        answer = self._ask(promise, f"complete?digest={promise.digest}")
        if answer.status != 201:
            self._lose(promise, "a repeated complete is refused", answer)
        elif answer.json()["id"] != promise.file or answer.json()["digest"] != promise.digest:
            self._lose(promise, "a repeated complete tells another file", answer)
        if promise.deleting:
            return
        answer = self._connection.ask("GET", f"/api/files/{promise.file}")
        if answer.status != 200:
            self._lose(promise, "its file is gone", answer)
        answer = self._connection.ask("GET", f"/api/blobs/{promise.digest}")
        if answer.status != 200:
            self._lose(promise, "its bytes are gone", answer)
        elif answer.body != promise.content:
            self._lose(promise, "its bytes are others")

    def _check_list(self):
        """Nothing is there twice, and nothing that was removed."""
        seen, skip = set(), 0
        while True:
            answer = self._connection.ask("GET", f"/api/files?top=100&skip={skip}")
            if answer.status != 200:
                self.losses.append(f"the files cannot be listed: {answer.text()}")
                return
            items = answer.json()["items"]
            for item in items:
                if item["name"] in seen:
                    self.losses.append(f"{item['name']}: two files of one upload")
                seen.add(item["name"])
            skip += len(items)
            if not items:
                break
        for promise in self._promises:
            if promise.name in seen and (promise.deleted or promise.destroyed):
                self._lose(promise, "listed though it was removed")

    def _check_folder(self):
        """Completed and destroyed uploads leave nothing under their names. Files that are removed after the answer to complete
        are given a moment; an upload that no client knows of may have its empty file."""
        known = {promise.id for promise in self._promises if promise.file or promise.destroyed}
        for _ in range(200):
            left = [path.name for path in (self._server.data / "uploads").iterdir()
                    if path.name.partition(".")[0] in known or not UPLOAD_NAME.match(path.name)]
            if not left:
                return
            time.sleep(0.005)
        self.losses.append(f"left in uploads/: {left}")


def check_folder(blobd: Path, data: Path, log: Path, ledger: Ledger) -> list[str]:
    """Starts a server on a folder, checks it, and ends it."""
    try:
        server = Server(blobd, data, log, options=SETTINGS)
    except ServerFailed as error:
        return [str(error)]
    try:
        return Checker(server, ledger).check()
    finally:
        server.kill()
