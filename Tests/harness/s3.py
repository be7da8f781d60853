"""The test's own requests to the S3 store: it makes a bucket and looks at its objects, past everything that is
being tested."""

import datetime
import hashlib
import hmac
import http.client
import xml.etree.ElementTree as ElementTree
from urllib.parse import quote

ACCESS_KEY, SECRET_KEY = "blobs", "blobs-secret-key"  # as Tests/engines/ceph-up makes them
REGION = "us-east-1"
NAMESPACE = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}


class Bucket:
    """One bucket, by requests that are signed here (Signature Version 4)."""

    def __init__(self, port: int, name: str):
        self._host = f"127.0.0.1:{port}"
        self.endpoint = f"http://{self._host}"
        self._path = f"/{name}"

    def create(self):
        self._ask("PUT", {})

    def keys(self) -> set[str]:
        """Of all objects."""
        found: set[str] = set()
        query = {"list-type": "2"}
        while True:
            page = ElementTree.fromstring(self._ask("GET", query))
            found.update(key.text for key in page.findall("s3:Contents/s3:Key", NAMESPACE))
            token = page.find("s3:NextContinuationToken", NAMESPACE)
            if token is None:
                return found
            query["continuation-token"] = token.text

    def unfinished(self) -> list[str]:
        """The keys of multipart uploads that were begun and neither completed nor aborted."""
        page = ElementTree.fromstring(self._ask("GET", {"uploads": ""}))
        return [key.text for key in page.findall("s3:Upload/s3:Key", NAMESPACE)]

    def put(self, key: str, body: bytes):
        """An object, of whose key no character has to be encoded."""
        self._ask("PUT", {}, key, body)

    def _ask(self, method: str, query: dict[str, str], key: str = "", body: bytes = b"") -> bytes:
        path = self._path + (f"/{key}" if key else "")
        words = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
        connection = http.client.HTTPConnection(self._host, timeout=60)
        try:
            connection.request(method, path + (f"?{words}" if words else ""), body or None,
                               self._signed(method, path, words, body))
            reply = connection.getresponse()
            answer = reply.read()
        finally:
            connection.close()
        if reply.status != 200:
            raise OSError(f"the store answers {method} {path} with {reply.status} {answer[:200]}")
        return answer

    def _signed(self, method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        time = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": self._host, "x-amz-content-sha256": digest, "x-amz-date": time}
        names = ";".join(headers)
        fields = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = "\n".join((method, path, query, fields, names, digest))
        scope = f"{time[:8]}/{REGION}/s3/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256", time, scope, hashlib.sha256(request.encode()).hexdigest()))
        key = f"AWS4{SECRET_KEY}".encode()
        for word in (time[:8], REGION, "s3", "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        return headers | {"Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, "
                                           f"SignedHeaders={names}, Signature={signature}"}
