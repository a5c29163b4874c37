"""A server of files for tests, which cuts, stalls, lies and sends elsewhere when it is told to.

    server = Server()
    server.files["/a"], server.faults["/a"] = b"...", [cut(100), status(503)]  # then as it should be

Each fault takes the request's handler and the file's bytes.
"""
import gzip
import hashlib
import http.server
import ssl
import threading


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Server:
    """Files by their path. `faults[path]` is a list of what to do instead, a request each; `seen` is what was asked."""

    def __init__(self, address="127.0.0.1", context=None):
        self.files, self.faults, self.seen, self.released = {}, {}, [], threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.seen.append((self.path, dict(self.headers)))
                faults = server.faults.get(self.path)
                fault = faults.pop(0) if faults else whole
                try:
                    fault(self, server.files.get(self.path))
                except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                    self.close_connection = True

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads, released = True, self.released

            def handle_error(self, *_):
                """A client that goes away is what half of the tests are about."""

        self.http = Quiet((address, 0), Handler)
        if context:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()

    def asked(self, path):
        return [headers for seen, headers in self.seen if seen == path]


# What a server may do with a request.

def head(h, status, length, **headers):
    h.send_response(status)
    if length is not None:
        h.send_header("Content-Length", str(length))
    for name, value in headers.items():
        h.send_header(name.replace("_", "-"), value)
    h.end_headers()


def begin_of(h, data):
    """Where the answer begins, as RFC 9110 has it: a range counts only if its ETag is ours."""
    wanted, mine = h.headers.get("Range"), '"%s"' % sha256(data)[:16]
    if not wanted or h.headers.get("If-Range", mine) != mine:
        return 0, mine
    return int(wanted[len("bytes="):-1]), mine


def send(h, data, promised=None, sent=None, **headers):
    """The answer as it should be, but for what is promised and what is sent of it."""
    begin, etag = begin_of(h, data)
    if begin >= len(data) > 0:
        return head(h, 416, 0, Content_Range=f"bytes */{len(data)}")
    rest = data[begin:] if sent is None else data[begin:begin + sent]
    if begin:
        headers["Content_Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
    headers.setdefault("ETag", etag)
    head(h, 206 if begin else 200, len(data) - begin if promised is None else promised, **headers)
    h.wfile.write(rest)


def whole(h, data):
    send(h, data) if data is not None else status(404)(h, data)


def cut(bytes_sent):
    def fault(h, data):
        send(h, data, sent=bytes_sent)
        h.close_connection = True
    return fault


def stall(bytes_sent):
    def fault(h, data):
        send(h, data, sent=bytes_sent)
        h.wfile.flush()
        h.server.released.wait(20)
        h.close_connection = True
    return fault


def slow(seconds):
    def fault(h, data):
        begin, etag = begin_of(h, data)
        head(h, 200, len(data), ETag=etag)
        for i in range(10):
            h.wfile.write(data[len(data) * i // 10:len(data) * (i + 1) // 10])
            h.server.released.wait(seconds / 10)
    return fault


def status(code, **headers):
    def fault(h, data):
        head(h, code, 6, **headers)
        h.wfile.write(b"sorry\n")
    return fault


def redirect(url, code=302, **headers):
    return status(code, Location=url, **headers)


def ignore_range(h, data):
    head(h, 200, len(data), ETag='"%s"' % sha256(data)[:16])
    h.wfile.write(data)


def other_range(h, data):
    head(h, 206, 100, Content_Range=f"bytes 7-106/{len(data)}")
    h.wfile.write(data[7:107])


def promise(length):
    def fault(h, data):
        head(h, 200, length)
        h.wfile.write(data)
        h.close_connection = True
    return fault


def endless(count):
    """No length is promised, and the end is when the connection ends."""
    def fault(h, data):
        h.close_connection = True
        head(h, 200, None, Connection="close")
        for _ in range(count):
            h.wfile.write(data)
    return fault


def chunked(h, data):
    head(h, 200, None, Transfer_Encoding="chunked")
    for at in range(0, len(data), 50_000):
        piece = data[at:at + 50_000]
        h.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    h.wfile.write(b"0\r\n\r\n")


def garbled(h, data):
    send(h, data[:1000] + bytes([data[1000] ^ 1]) + data[1001:], ETag='"%s"' % sha256(data)[:16])


def zipped(h, data):
    packed = gzip.compress(data)
    head(h, 200, len(packed), Content_Encoding="gzip")
    h.wfile.write(packed)


def nonsense(h, data):
    h.wfile.write(b"this is no HTTP\r\n\r\n")
    h.close_connection = True
