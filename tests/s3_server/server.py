#!/usr/bin/env python3
"""An S3 server in memory for tests: it verifies signatures, and fails as it is told to. Standard library only.

    server.py [--port N]     prints "listening on PORT" and serves 127.0.0.1 until its standard input ends

POST /_control takes a JSON object: `faults` (name: rate from 0 to 1), `most` (how often each may happen), `seed`,
`region`, `clock` (seconds that the server is ahead), `smallest_part`, `forget` (true: all objects), `load` (bucket: folder
whose files become its objects), `closed` (nothing whose key ends so can be written).
GET /_state tells what has happened. Buckets come to be when they are first written to, but for "missing"; "public-..." may
be read without a signature, "forbidden" not at all, and "locked-..." take only what comes with a checksum, as with Object Lock.
GET /web/BUCKET/KEY serves objects as a plain web server, /web-simple/... as one that knows no ranges, /web-weak/... with
weak ETags, /web-chunked/... with bodies in chunks and a Content-Length that is not theirs.
GET /_connection?TEXT answers with the port that the client speaks from, and TEXT.
"""
import argparse
import collections
import email.utils
import http.server
import json
import pathlib
import random
import socket
import struct
import sys
import threading
import time
import urllib.parse

import sigv4
from bucket import SMALLEST_PART, Answer, Bucket, Stored, error
from identity import Identity

KEYS = {"AKIDTEST": "secret/of+test"}
STALL_SECONDS = 60
REGIONS = ("us-west-2", "eu-central-1")


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.identity = Identity(KEYS, self.draw)
        self.buckets = {}
        self.faults, self.most, self.random = {}, sys.maxsize, random.Random(0)
        self.region, self.clock, self.smallest_part = None, 0, SMALLEST_PART
        self.closed = None
        self.counts, self.injected = collections.Counter(), collections.Counter()
        self.last_headers = {}

    def control(self, settings):
        with self.lock:
            self.faults = settings.get("faults", {})
            self.most = settings.get("most", sys.maxsize)
            self.region = settings.get("region")
            self.clock = settings.get("clock", 0)
            self.closed = settings.get("closed")
            self.smallest_part = settings.get("smallest_part", SMALLEST_PART)
            self.identity.lifetime = settings.get("lifetime", 3600)
            for bucket in self.buckets.values():
                bucket.smallest_part = self.smallest_part
            if "seed" in settings:
                self.random.seed(settings["seed"])
            if settings.get("forget"):
                self.buckets.clear()
            for name, folder in settings.get("load", {}).items():
                self.load(name, pathlib.Path(folder))
            self.counts.clear()
            self.injected.clear()

    def load(self, name, folder):
        bucket = self.buckets.setdefault(name, Bucket(self.smallest_part, self.draw))
        for path in folder.rglob("*"):
            if path.is_file():
                bucket.objects[path.relative_to(folder).as_posix()] = Stored(path.read_bytes())

    def report(self):
        with self.lock:
            return {"counts": self.counts, "injected": self.injected, "last_headers": self.last_headers,
                    "uploads": sum(len(bucket.uploads) for bucket in self.buckets.values()),
                    "objects": {name: sorted(bucket.objects) for name, bucket in self.buckets.items()}}

    def draw(self, *names):
        """The first of these faults that chance chooses now; None most of the time."""
        with self.lock:
            for name in names:
                if self.injected[name] < self.most and self.random.random() < self.faults.get(name, 0):
                    self.injected[name] += 1
                    return name
        return None

    def bucket(self, name):
        with self.lock:
            if name not in self.buckets and name != "missing":
                self.buckets[name] = Bucket(self.smallest_part, self.draw)
            return self.buckets.get(name)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = State()
    skew = 0  # seconds that the clock of this answer is off

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def now(self):
        """By the clock of this server, or of the one machine of it that answers now."""
        return time.time() + self.state.clock + self.skew

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(self.now(), usegmt=True)

    def log_message(self, *arguments):
        pass

    def reset(self):
        """Ends the connection the hard way."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        raise ConnectionAbortedError

    def send(self, answer, body_fault=None):
        body = answer.body
        headers = {"Content-Length": len(body), **answer.headers}
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body_fault == "truncated":
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD" or answer.status == 204:
            return
        if body_fault is None or not body:
            self.wfile.write(body)
            return
        self.wfile.write(body[:len(body) // 2])
        self.wfile.flush()
        if body_fault == "reset_within":
            time.sleep(0.01)
            self.reset()
        if body_fault == "stall":
            time.sleep(STALL_SECONDS)
        self.close_connection = True

    def read_body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def serve(self):
        self.skew = 0
        try:
            body = self.read_body()
            url = urllib.parse.urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            if url.path == "/_control":
                self.state.control(json.loads(body))
                return self.send(Answer(200))
            if url.path == "/_state":
                return self.send(Answer(200, json.dumps(self.state.report())))
            if url.path == "/_connection":
                return self.send(Answer(200, f"{self.client_address[1]} {url.query}"))
            local = self.state.identity.handle(self.command, url.path, headers, body)
            if local is not None:
                with self.state.lock:
                    self.state.counts["identity"] += 1
                return self.send(local)
            if url.path.startswith("/web"):
                return self.serve_web(url.path, headers)
            self.serve_bucket(url, headers, body)
        except (ConnectionError, BrokenPipeError):
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

    def serve_web(self, path, headers):
        with self.state.lock:
            self.state.counts["web"] += 1
        _, kind, name, key = path.split("/", 3)
        if kind == "web-moved":
            return self.send(Answer(302, Location=f"/web/{name}/{key}"))
        if kind == "web-simple":
            headers.pop("range", None)
        if self.command not in ("GET", "HEAD"):
            return self.send(Answer(405))
        fault = self.state.draw("reset_before", "internal_error", "truncated", "reset_within")
        if fault == "reset_before":
            self.reset()
        if fault == "internal_error":
            return self.send(Answer(502, "<html>bad gateway"))
        if kind == "web-weak" and "if-match" in headers:
            return self.send(Answer(412))  # a weak ETag matches nothing
        answer = self.state.bucket(name).handle(self.command, urllib.parse.unquote(key), {}, headers, b"")
        if kind == "web-weak" and "ETag" in answer.headers:
            answer.headers["ETag"] = "W/" + answer.headers["ETag"]
        if kind == "web-chunked":
            return self.send_chunked(answer)
        self.send(answer, fault)

    def send_chunked(self, answer):
        """The body in chunks, with a length that is not its own, which does not count then."""
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": 7, "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        for start in range(0, len(answer.body), 1000):
            piece = answer.body[start:start + 1000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def serve_bucket(self, url, headers, body):
        name, _, key = urllib.parse.unquote(url.path[1:]).partition("/")
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        is_complete = self.command == "POST" and "uploadId" in query
        with self.state.lock:
            self.state.counts[self.command] += 1
            self.state.last_headers[self.command] = headers
        key_id = headers.get("authorization", "Credential=/").split("Credential=")[1].split("/")[0]
        fault = self.state.draw("reset_before", "slow_down", "internal_error", "clock_skew", "wrong_region",
                                "truncated", "reset_within", "stall",
                                *(["expired_token"] if self.state.identity.may_expire(key_id) else []),
                                *(["error_in_200", "lost_answer"] if is_complete else []),
                                *(["plain_404"] if self.command == "GET" and key else []))
        if fault == "reset_before":
            self.reset()
        if fault == "plain_404":  # of something on the way to the server
            return self.send(Answer(404, "404 page not found\n", Content_Type="text/plain"))
        try:
            if fault == "clock_skew":
                with self.state.lock:
                    self.skew = self.state.random.choice((-1, 1)) * self.state.random.randint(1000, 100000)
            if fault == "wrong_region":
                with self.state.lock:
                    self.state.region = REGIONS[self.state.region == REGIONS[0]]
            if fault == "slow_down":
                raise sigv4.Refused(503, "SlowDown", "Please reduce your request rate.")
            if fault == "internal_error":
                raise sigv4.Refused(500, "InternalError", "We encountered an internal error. Please try again.")
            if fault == "expired_token":
                self.state.identity.expire(key_id)
            answer = self.answer(name, key, query, url, headers, body, fault)
        except sigv4.Refused as refused:
            answer = error(refused.status, refused.code, refused.message, **refused.fields)
            if self.state.region:
                answer.headers["x-amz-bucket-region"] = self.state.region
        if fault == "lost_answer":
            self.reset()
        self.send(answer, fault if fault in ("truncated", "reset_within", "stall") else None)

    def answer(self, name, key, query, url, headers, body, fault):
        region = self.state.region
        if "authorization" in headers or not (name.startswith("public-") and self.command in ("GET", "HEAD")):
            sigv4.verify(self.command, url.path, url.query, headers, body, secret_of=self.state.identity.secret_of,
                         service="s3", region=region, now=self.now())
        closed = self.state.closed
        if name == "forbidden" or (closed and self.command in ("PUT", "POST") and key.endswith(closed)):
            return error(403, "AccessDenied", "Access Denied")
        if (name.startswith("locked-") and self.command == "PUT"
                and not any(header in headers for header in ("content-md5", "x-amz-checksum-crc32c"))):
            return error(400, "InvalidRequest", "Content-MD5 or x-amz-checksum- is required with Object Lock")
        bucket = self.state.bucket(name)
        if bucket is None:
            return error(404, "NoSuchBucket", "The specified bucket does not exist")
        if fault == "error_in_200":
            answer = error(200, "InternalError", "We encountered an internal error. Please try again.")
            answer.body = b"\n   " + answer.body.split(b"\n", 1)[1]
            return answer
        return bucket.handle(self.command, key, query, headers, body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    server = Server(("127.0.0.1", parser.parse_args().port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on {server.server_address[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
