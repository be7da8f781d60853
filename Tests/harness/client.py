"""A client of one upload, which writes down each request before it makes it, and each answer as soon as it comes."""

from collections.abc import Callable

from harness.connection import Answer, Connection
from harness.ledger import Promise

Note = Callable[[str, str, object], None]  # name, event, value


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, step: str, answer: Answer):
        super().__init__(f"{step}: {answer.text()}")
        self.answer = answer
        self.status = answer.status


class Uploader:
    """Speaks for one upload. Every method raises ``Refused`` or ``Unanswered`` when it does not succeed."""

    def __init__(self, connection: Connection, promise: Promise, note: Note):
        self._connection = connection
        self._note = note
        self.promise = promise

    def _told(self, event: str, value):
        self.promise.note(event, value)
        self._note(self.promise.name, event, value)

    def give_up(self, status: int):
        """Takes an error of the server's disk for an answer."""
        self._told("failed" if status == 410 else "refused", True)

    def _post(self, step: str, body: bytes | None = None, **headers) -> Answer:
        return self._connection.ask("POST", f"/api/blobs/uploads/{self.promise.id}/{step}", body,
                                    PortSIP_Upload_Token=self.promise.token, **headers)

    def start(self, is_temporary: bool = False):
        promise = self.promise
        self._note(promise.name, "starting", (promise.key, promise.size))
        temporary = "&temporary=true" if is_temporary else ""
        answer = self._connection.ask("POST", f"/api/blobs/uploads?filename={promise.name}{temporary}")
        if answer.status != 202:
            raise Refused("start", answer)
        self._told("started", (answer.headers["portsip-upload-id"], answer.headers["portsip-upload-token"]))

    def append(self, start: int, end: int):
        self._told("sending", end)
        answer = self._post("append", self.promise.content[start:end], Upload_Offset=start)
        if answer.status != 203:
            raise Refused("append", answer)
        self._told("told", answer.offset)

    def status(self) -> int:
        answer = self._connection.ask("GET", f"/api/blobs/uploads/{self.promise.id}/status")
        if answer.status != 204:
            raise Refused("status", answer)
        self._told("told", answer.offset)
        return answer.offset

    def complete(self, start: int | None = None, with_digest: bool = True) -> str:
        """Completes with the bytes from `start` on in the body, or without a body; returns the file's id."""
        headers, body = {}, None
        if start is not None:
            self._told("sending", self.promise.size)
            headers, body = {"Upload_Offset": start}, self.promise.content[start:]
        self._told("completing", True)
        query = f"?digest={self.promise.digest}" if with_digest else ""
        answer = self._post(f"complete{query}", body, **headers)
        if answer.status != 201:
            raise Refused("complete", answer)
        file = answer.json()
        if file["digest"] != self.promise.digest:
            raise Refused(f"complete instead of {self.promise.digest}", answer)
        self._told("completed", file["id"])
        return file["id"]

    def destroy(self):
        self._told("destroying", True)
        answer = self._post("destroy")
        if answer.status != 204:
            raise Refused("destroy", answer)
        self._told("destroyed", True)

    def delete_file(self):
        self._told("deleting", True)
        answer = self._connection.ask("POST", f"/api/files/{self.promise.file}/destroy")
        if answer.status != 204:
            raise Refused("delete", answer)
        self._told("deleted", True)
