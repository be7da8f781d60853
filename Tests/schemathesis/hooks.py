"""The facts that the API description cannot hold: which ids, tokens, offsets and digests are real.

Generated values alone would end in 404 almost always. These hooks keep a small model of every upload, put real
values into most requests, and compare the server's answers with the model.
"""

import hashlib
import os
import random
import re
from dataclasses import dataclass
from urllib.parse import unquote

import requests
import schemathesis
from schemathesis.openapi.checks import EnsureResourceAvailability, RejectedPositiveData

SERVER = os.environ["SERVER_URL"]
BEARER = {"Authorization": "Bearer " + os.environ["SERVER_TOKEN"]}
UPLOADS = "/api/blobs/uploads/{id}/"


@dataclass
class Upload:
    token: str
    data: bytes = b""
    completed: bool = False


@dataclass
class File:
    id: str
    digest: str


SOMETIMES_HIDDEN = re.compile(
    "[\u180b-\u180f\u200c\u200d\ufe00-\ufe0f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    "|[" + "".join(f"{chr(plane + 0xfffe)}{chr(plane + 0xffff)}" for plane in range(0x10000, 0x110000, 0x10000)) + "]")

uploads: dict[str, Upload] = {}
files: list[File] = []
ended: set[str] = set()
chance = random.Random(1)


def send(path, **headers):
    response = requests.post(SERVER + path, headers=BEARER | headers, timeout=10)
    response.raise_for_status()
    return response


def start_upload():
    headers = send("/api/blobs/uploads").headers
    upload = headers["PortSIP-Upload-ID"]
    uploads[upload] = Upload(headers["PortSIP-Upload-Token"])
    return upload


def known_file(count=1):
    while len(files) < count:
        upload = start_upload()
        path = UPLOADS.format(id=upload) + "complete"
        answer = send(path, **{"PortSIP-Upload-Token": uploads[upload].token}).json()
        completed(upload, answer)
    return files[-1]


def completed(upload, answer):
    uploads[upload].completed = True
    ended.add(upload)
    files.append(File(answer["id"], answer["digest"]))


def named(case):
    """The id or digest in the request's path; generated ones may be of any type."""
    return unquote(str(case.path_parameters.get("id") or case.path_parameters.get("digest")))


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives three requests of four real values; schemathesis then judges anew whether they are valid."""
    if chance.random() < 0.25:
        return
    if case.path.startswith(UPLOADS):
        aim_at_upload(case)
    elif case.path == "/api/blobs/{digest}":
        case.path_parameters["digest"] = known_file().digest
        if "If-Match" in case.headers:
            case.headers["If-Match"] = f'"{known_file().digest}"'
    elif case.path.startswith("/api/files/{id}"):
        case.path_parameters["id"] = known_file().id
    elif case.path == "/api/files" and "after" in case.query and not case.meta.generation.mode.is_negative:
        aim_at_page(case)


def aim_at_page(case):
    known_file(2)
    order = {"orderby": case.query["orderby"]} if "orderby" in case.query else {}
    answer = requests.get(SERVER + "/api/files", params={"top": 1} | order, headers=BEARER, timeout=10)
    case.query["after"] = answer.json().get("next") or case.query["after"]
    case.query.pop("skip", None)


def aim_at_upload(case):
    if named(case) not in uploads:
        known = list(uploads) if chance.random() < 0.5 else []
        case.path_parameters["id"] = chance.choice(known) if known else start_upload()
    upload = uploads[named(case)]
    if "PortSIP-Upload-Token" in case.headers:
        case.headers["PortSIP-Upload-Token"] = upload.token
    if case.meta.generation.mode.is_negative or chance.random() < 0.25:
        return
    body = case.body if isinstance(case.body, bytes) else b""
    if "Upload-Offset" in case.headers:
        case.headers["Upload-Offset"] = str(len(upload.data))
    if "Content-Range" in case.headers and body:
        case.headers["Content-Range"] = f"bytes {len(upload.data)}-{len(upload.data + body) - 1}/*"
    if "digest" in case.query:
        data = upload.data if upload.completed else upload.data + body
        case.query["digest"] = hashlib.sha256(data).hexdigest()


@schemathesis.hook
def after_call(context, case, response):
    """Follows the server's answers in the model."""
    if case.method == "OPTIONS":  # asks for the methods of a path, and does nothing
        return
    operation, status = case.path.rsplit("/", 1)[-1], response.status_code
    name = named(case)
    if case.path == "/api/blobs/uploads" and status == 202:
        headers = response.headers
        uploads[headers["portsip-upload-id"][0]] = Upload(headers["portsip-upload-token"][0])
    elif case.path.startswith(UPLOADS) and name in uploads:
        upload = uploads[name]
        if operation == "append" and status == 203 or operation == "complete" and computed_digest(response):
            upload.data += b"" if upload.completed else sent_body(response)
        elif operation == "complete" and status == 201:
            upload.data += b"" if upload.completed else sent_body(response)
            completed(name, response.json())
        elif operation == "destroy" and status == 204:
            del uploads[name]
            ended.add(name)
    elif operation == "destroy" and status == 204:
        files[:] = [file for file in files if file.id != name]
        ended.add(name)


def sent_body(response):
    body = response.request.body or b""
    return body.encode() if isinstance(body, str) else body


def refused_with(response, *codes):
    return response.json()["errors"][0]["code"] in codes


def computed_digest(response):
    """The digest that the server computed, in an answer to a complete with another one."""
    if response.status_code != 400 or not refused_with(response, "DIGEST_INVALID"):
        return None
    return response.json()["errors"][0].get("detail", {}).get("digest")


def asked_digest(case):
    digest = case.query.get("digest")
    return digest and str(digest).lower().removeprefix("sha256:")


@schemathesis.check
def agrees_with_model(ctx, response, case):
    """Offsets and digests are those of the bytes that were sent."""
    status = response.status_code
    if case.method == "OPTIONS":
        return
    if case.path.startswith(UPLOADS) and status in (201, 203, 204) and named(case) in uploads:
        data = uploads[named(case)].data
        if status == 201:
            assert asked_digest(case) in (None, hashlib.sha256(data).hexdigest()), "another digest was asked for"
            assert response.json()["digest"] == hashlib.sha256(data).hexdigest(), "the digest is not that of the bytes"
            assert response.json()["size"] == len(data), "the size is not that of the bytes"
        else:
            assert response.headers["upload-offset"] == [str(len(data))], f"{len(data)} bytes were acknowledged"
            assert response.headers["range"] == [f"0-{max(len(data) - 1, 0)}"], f"{len(data)} bytes were acknowledged"
    if case.path == "/api/blobs/{digest}" and case.method == "GET" and status == 200:
        digest = named(case).lower().removeprefix("sha256:")
        assert hashlib.sha256(response.content).hexdigest() == digest, "the bytes are not those of the digest"


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Drops findings that are right although the description alone makes them look wrong."""
    if isinstance(failure, EnsureResourceAvailability):
        return named(case) not in ended
    if isinstance(failure, RejectedPositiveData) and response.status_code == 400:
        return not rightly_refused(case, response)
    return True


def rightly_refused(case, response):
    if case.path == "/api/blobs/uploads":  # The description counts characters, the server bytes.
        name, path = (str(case.query.get(key, "")).encode() for key in ("filename", "path"))
        # Nor does it tell where joiners, variation selectors and tags are seen, and nothing of planes beyond the first.
        is_hidden = "which nobody would see" in response.text and SOMETIMES_HIDDEN.search((name + path).decode())
        return len(name) > 255 or len(path) > 1024 or is_hidden
    if case.path == "/api/files":  # Well-formed, but no cursor of a page in this order, or one beside a skip.
        return "after" in case.query and "'after'" in response.json()["errors"][0]["message"]
    if case.path.startswith(UPLOADS):  # Well-formed, but not this upload's token, size, digest or a forward range.
        return (
            refused_with(response, "BLOB_UPLOAD_INVALID", "SIZE_INVALID")
            or (computed_digest(response) and asked_digest(case) not in (None, computed_digest(response)))
            or (refused_with(response, "VALIDATE_FAILED") and runs_backwards(case.headers.get("Content-Range")))
        )
    return False


def runs_backwards(content_range):
    if not content_range:
        return False
    first, last = content_range.removeprefix("bytes ").split("/")[0].split("-")
    return int(last) < int(first)
