#!/usr/bin/env python3
"""A backend for Tidegate with nothing but the standard library.

    tidegate gateway --callback-url http://127.0.0.1:5000/callback
    python3 backend.py
    tidegate listen http://localhost:8080/news
    curl -d 'It works' http://127.0.0.1:5000/headlines

Streams at /news follow the topic "news"; every other path is refused. Each POST
to /headlines sends its body to all of them.
"""

import argparse
import json
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


def call_gateway(path, message):
    """One call of the gateway's internal API."""
    request = urllib.request.Request(
        options.gateway + path,
        data=json.dumps(message).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/callback":
            self.callback(json.loads(body))
        elif self.path == "/headlines":
            sent = call_gateway("/internal/send", {
                "topic": "news",
                "event": {"name": "headline", "data": body.decode()},
            })
            self.answer(200, sent)
        else:
            self.answer(404, {})

    def callback(self, call):
        if call["action"] == "disconnect":
            print("gone:", call["reason"], file=sys.stderr)
            return self.answer(200, {})
        # Only the status of this answer counts: it lets the client in or not.
        if urlsplit(call["request"]["url"]).path != "/news":
            return self.answer(404, {})
        # Before the answer, so that what is replayed is ready when the stream opens.
        call_gateway("/internal/subscribe", {
            "token": call["token"], "topics": ["news"], "from": "earliest",
        } if "last-event-id" not in call["request"]["headers"] else {
            "token": call["token"], "topics": ["news"],
        })
        self.answer(200, {})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--port", type=int, default=5000)
parser.add_argument("--gateway", default="http://127.0.0.1:8081", help="URL of the internal listener")
options = parser.parse_args()

server = ThreadingHTTPServer(("127.0.0.1", options.port), Backend)
print("backend is ready at http://127.0.0.1:%d" % server.server_port, flush=True)
server.serve_forever()
