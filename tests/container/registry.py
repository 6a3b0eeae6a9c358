"""An image registry that takes what is pushed and remembers what it was called."""

import hashlib
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Registry:
    """On a free port of the loopback interface, where engines speak HTTP. `tags` holds what was pushed: `name:tag`."""

    def __init__(self):
        self.tags, self.blobs, self.uploads = set(), set(), {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"registry": self}))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def address(self):
        return f"127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry = None

    def log_message(self, *_):
        pass

    def answer(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def do_GET(self):
        self.answer(200 if self.path == "/v2/" else 404)

    def do_HEAD(self):
        digest = self.path.rsplit("/", 1)[1]
        self.answer(200 if digest in self.registry.blobs else 404, Docker_Content_Digest=digest)

    def do_POST(self):
        self.body()
        upload = uuid.uuid4().hex
        self.registry.uploads[upload] = b""
        self.answer(202, Location=f"{self.path.split('?')[0]}{upload}", Docker_Upload_UUID=upload)

    def do_PATCH(self):
        upload = self.path.split("?")[0].rsplit("/", 1)[1]
        self.registry.uploads[upload] += self.body()
        self.answer(202, Location=self.path, Range=f"0-{len(self.registry.uploads[upload]) - 1}")

    def do_PUT(self):
        path, _, query = self.path.partition("?")
        content = self.body()
        if "/manifests/" in path:
            name, tag = path.removeprefix("/v2/").split("/manifests/")
            self.registry.tags.add(f"{name}:{tag}")
        else:
            content = self.registry.uploads.pop(path.rsplit("/", 1)[1]) + content
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.registry.blobs.add(digest)
        self.answer(201, Location=path, Docker_Content_Digest=digest)
