"""An HTTP/1.1 origin that says what reached it, and answers in the framings that nginx does not have."""

import hashlib
import http.server
import json


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_expect_100(self):
        if self.path == "/refuse":
            self.close_connection = True
            self.answer(b"no", status=417, fields={"Connection": "close"})
            return False
        return super().handle_expect_100()

    def do_POST(self):
        digest, length = hashlib.sha256(), 0
        for piece in self.body():
            digest.update(piece)
            length += len(piece)
        facts = {
            "method": self.command,
            "length": length,
            "sha256": digest.hexdigest(),
            "framing": "chunked" if self.is_chunked() else "length",
            "expect": self.headers.get("Expect"),
        }
        self.answer(json.dumps(facts).encode())

    do_PUT = do_POST

    def do_GET(self):
        if self.path == "/close":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")
            self.close_connection = True
        elif self.path == "/chunked":
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            self.wfile.write(head + b"6\r\npiece \r\n3\r\nby \r\n5\r\npiece\r\n0\r\nX-Sum: 14\r\n\r\n")
        else:
            self.answer(b"hello")

    def answer(self, body, status=200, fields={}):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def is_chunked(self):
        return self.headers.get("Transfer-Encoding", "").lower() == "chunked"

    def body(self):
        if self.is_chunked():
            yield from self.chunks()
            return
        left = int(self.headers.get("Content-Length", "0"))
        while left > 0:
            piece = self.rfile.read(min(left, 1 << 20))
            if not piece:
                raise ConnectionError("the body ended early")
            left -= len(piece)
            yield piece

    def chunks(self):
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b""):
            pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(f"port {server.server_port} listens", flush=True)
server.serve_forever()
