"""A server that means harm: whatever text it may choose holds escapes, line ends and characters that turn the text. It gives
lists and downloads, and refuses all else. Prints its port."""
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVIL = "\x1b[31m\x1b]0;owned\x07\r\nblob: done\u202egpj\u2066\u009b2J\u200b\U000e0041\x7f\u2028"
CONTENTS = {hashlib.sha256(text).hexdigest(): text for text in (b"one", b"two", b"three")}
NAMES = [EVIL + ".exe", ".bashrc", "-rf"]


def items():
    files = [{"id": f"{EVIL}{number}", "name": name, "path": f"d/.ssh/-o{EVIL}/{name}", "size": 2**63 - 1, "digest": digest,
              "url": EVIL, "media_type": EVIL, "owner": "me" + EVIL, "created_at": "2026-11-29T00:00:00Z", "temporary": False}
             for number, (name, digest) in enumerate(zip(NAMES, CONTENTS))]
    return files + [files[0] | {"name": "odd", "path": None, "digest": EVIL}]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes, **headers: str):
        self.send_response(status)
        for name, value in headers.items():
            # As bytes that are no ASCII: control characters would end the header.
            self.send_header(name.replace("_", "-"), value.encode().decode("latin-1"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int):
        body = {"errors": [{"code": EVIL, "message": EVIL}]}
        self.answer(status, json.dumps(body).encode(), X_Request_ID="\u202e\u009b", Content_Type="application/json")

    def do_GET(self):
        path = self.path.partition("?")[0]
        digest = path.rpartition("/")[2]
        if path == "/api/files":
            body = {"count": 4, "subject": "me" + EVIL, "items": items(), "next": None}
            self.answer(200, json.dumps(body, ensure_ascii=False).encode())
        elif digest in CONTENTS:
            self.answer(200, CONTENTS[digest], Content_Disposition="attachment; filename*=UTF-8''.%E2%80%AE%1B%0A.sh")
        elif path.endswith("a" * 64):
            self.answer(307, b"", Location="http://u\u202e\u009b@[\u202e")
        else:
            self.refuse(400)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.refuse(500 if self.path.endswith("/destroy") else 403)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
