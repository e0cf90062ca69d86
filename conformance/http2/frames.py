"""Python's h2, and the frames and the compression below it, as a client of a gateway that takes HTTP/2 in clear text.

    frames.py PORT               breaks rules frame by frame, beside a client that keeps them (SECURITY.md, T11 to T17)
    frames.py PORT drain PATH    asks until the gateway says GOAWAY, and past it for what was taken

Prints `WHAT: ok`, or what was wrong instead.
"""

import json
import socket
import struct
import sys
import threading
import time

import h2.connection
import h2.events
import hpack
from hyperframe import frame as frames

SECONDS_MAX = 15
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, REFUSED_STREAM, CALM = 1, 3, 7, 11
WINDOW_SETTING = 4
USUAL = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/node1/never")]
QUICK = USUAL[:3] + [(":path", "/node1/small")]


class Client:
    """A connection whose frames the caller makes up. What comes is kept: the stream, the kind, and what it says."""

    def __init__(self, port, window=None, **options):
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX, **options)
        self.decoder, self.buffer, self.seen = hpack.Decoder(), b"", []
        settings = {} if window is None else {WINDOW_SETTING: window}
        self.put(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frames.SettingsFrame(settings=settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def put(self, *made_up):
        """What the gateway no longer takes is lost, which is what is looked for."""
        try:
            self.stream.sendall(b"".join(part if isinstance(part, bytes) else part.serialize() for part in made_up))
        except OSError:
            pass

    def read(self):
        """Once; False at the end."""
        try:
            data = self.stream.recv(1 << 16)
        except (TimeoutError, ConnectionError):
            return False
        self.buffer += data
        while len(self.buffer) >= 9:
            frame, length = frames.Frame.parse_frame_header(memoryview(self.buffer[:9]))
            if len(self.buffer) < 9 + length:
                break
            frame.parse_body(memoryview(self.buffer[9:9 + length]))
            self.buffer = self.buffer[9 + length:]
            self.take(frame)
        return bool(data)

    def take(self, frame):
        stream = frame.stream_id
        match frame:
            case frames.SettingsFrame() if "ACK" not in frame.flags:
                self.put(frames.SettingsFrame(flags=["ACK"]))
            case frames.HeadersFrame():
                self.seen.append((stream, "head", dict(self.decoder.decode(frame.data))))
            case frames.DataFrame():
                self.seen.append((stream, "data", frame.data))
                if frame.flow_controlled_length:
                    # The connection's window is kept open; a stream's is not.
                    self.put(frames.WindowUpdateFrame(0, window_increment=frame.flow_controlled_length))
            case frames.RstStreamFrame():
                self.seen.append((stream, "reset", frame.error_code))
            case frames.GoAwayFrame():
                self.seen.append((stream, "goaway", (frame.last_stream_id, frame.error_code)))
            case frames.PingFrame():
                self.seen.append((stream, "pong", frame.opaque_data))
        if "END_STREAM" in frame.flags:
            self.seen.append((stream, "end", None))

    def until(self, stream, *kinds):
        """The first of these kinds on the stream: its kind, and what it says; a pair of None if none comes."""
        end = time.monotonic() + SECONDS_MAX
        while True:
            for at, kind, what in self.seen:
                if at == stream and kind in kinds:
                    return kind, what
            if time.monotonic() > end or not self.read():
                return None, None

    def goaway(self):
        """The code of the GOAWAY."""
        _, what = self.until(0, "goaway")
        return what and what[1]

    def verdict(self, stream):
        """What came of a request: ("reset", CODE) or ("status", CODE)."""
        kind, what = self.until(stream, "reset", "head")
        return ("status", int(what[":status"])) if kind == "head" else (kind, what)

    def data(self, stream):
        return b"".join(what for at, kind, what in self.seen if at == stream and kind == "data")

    def ask(self, stream, fields=QUICK):
        self.put(headers(stream, fields))


def block(fields):
    """Fields as they are, with nothing kept in a table."""
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields], huffman=False)


def headers(stream, fields, *flags):
    data = fields if isinstance(fields, bytes) else block(fields)
    return frames.HeadersFrame(stream, data, flags=flags or ["END_HEADERS", "END_STREAM"])


def raw(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">L", stream) + payload


def expect(what, wanted, seen):
    print(f"{what}: {'ok' if seen == wanted else f'{seen} instead of {wanted}'}", flush=True)


def expect_calm(what, port, *made_up):
    """The connection must end with ENHANCE_YOUR_CALM, within what was sent and not after a while."""
    with Client(port) as client:
        client.put(*made_up)
        expect(f"{what} is answered by GOAWAY ENHANCE_YOUR_CALM", CALM, client.goaway())


def show_resets(port):
    def rapid(stream):
        return headers(stream, USUAL), frames.RstStreamFrame(stream, error_code=8)

    def made(stream):
        # Opening a window by nothing makes us reset the stream.
        return headers(stream, USUAL), raw(8, 0, stream, bytes(4))

    for what, reset in (("T11: rapid reset", rapid), ("T12: 150 streams that we have to reset", made)):
        expect_calm(what, port, *(part for stream in range(1, 301, 2) for part in reset(stream)))
    with Client(port) as client:
        client.put(*(headers(stream, USUAL) for stream in range(1, 203, 2)))
        expect("T11: the 101st stream is refused", ("reset", REFUSED_STREAM), client.verdict(201))
    with Client(port) as client:
        for stream in range(1, 101, 2):
            client.put(*rapid(stream))
        client.put(raw(6, 0, 0, b"12345678"))
        expect("T11: 50 resets are endured", ("pong", b"12345678"), client.until(0, "pong", "goaway"))


def show_blocks(port):
    opening = headers(1, block(USUAL), "END_STREAM")
    expect_calm("T13: 20 empty CONTINUATIONs", port, opening, *[raw(9, 0, 1)] * 20)
    expect_calm("T13: 1 MiB of CONTINUATIONs", port, opening, *[raw(9, 0, 1, b"\x00\x01a\x01b" * 3000)] * 70)
    with Client(port) as client:
        client.put(opening, raw(6, 0, 0, bytes(8)))
        expect("T13: another frame inside a block", PROTOCOL_ERROR, client.goaway())


def bomb(value_bytes, copies_count):
    """A block that names one large entry of the table again and again."""
    encoder = hpack.Encoder()
    start = encoder.encode([*USUAL, ("x-bomb", "x" * value_bytes)], huffman=False)
    return start + b"\xbe" * copies_count


def show_bombs(port):
    for what, value in (
        ("one of 4,000 bytes named 12,000 times", bomb(4000, 12_000)),
        ("an empty one named 12,000 times", bomb(0, 12_000)),
        ("97 crumbs", block([*USUAL, *[("cookie", "a")] * 97])),
        ("97 copies of host", block([*USUAL, *[("host", "localhost")] * 97])),
        ("one of 60 KiB in 6 frames, and 10 KiB more", block([*USUAL, ("x-a", "b" * 61_000), ("x-b", "c" * 10_000)])),
    ):
        with Client(port) as client:
            pieces = [value[at:at + 12_000] for at in range(0, len(value), 12_000)]
            last = len(pieces) - 1
            client.put(headers(1, pieces[0], "END_STREAM", *["END_HEADERS"] * (last == 0)))
            client.put(*(raw(9, 4 * (at == last), 1, piece) for at, piece in enumerate(pieces) if at))
            # More than a head may have in coded bytes ends the connection, for its table cannot be trusted any more.
            if len(value) > 65_536:
                expect(f"T14: {what}, is answered by GOAWAY ENHANCE_YOUR_CALM", CALM, client.goaway())
            else:
                expect(f"T14: {what}", ("status", 431), client.verdict(1))
    with Client(port) as client:
        for stream in range(1, 241, 2):
            client.put(headers(stream, block([*USUAL, *[("cookie", "a")] * 97])))
        expect("T14: 120 of them are answered by GOAWAY ENHANCE_YOUR_CALM", CALM, client.goaway())


def show_floods(port):
    for what, part in (
        ("PING", raw(6, 0, 0, bytes(8))),
        ("SETTINGS", raw(4, 0, 0)),
        ("SETTINGS that say something", raw(4, 0, 0, b"\x00\x01\x00\x00\x10\x00")),
        ("PRIORITY", raw(2, 0, 1, b"\x00\x00\x00\x03\x10")),
        ("unknown frames", raw(0x42, 0, 0, b"abc")),
        ("WINDOW_UPDATE of a byte", raw(8, 0, 0, b"\x00\x00\x00\x01")),
        ("pongs that were not asked for", raw(6, 1, 0, bytes(8))),
    ):
        expect_calm(f"T16: a flood of {what}", port, *[part] * 1_000)
    post = headers(1, [(":method", "POST"), *USUAL[1:]], "END_HEADERS")
    expect_calm("T16: a flood of empty DATA", port, post, *[raw(0, 0, 1)] * 1_000)
    expect_calm("T16: a flood of DATA with padding alone", port, post, *[raw(0, 8, 1, b"\x01\x00")] * 1_000)


def show_windows(port):
    large = USUAL[:3] + [(":path", "/nginx/large")]
    # Nobody may keep a response waiting for longer than the listener's `write_idle`, which is 3 s here.
    with Client(port, window=0) as client:
        client.ask(1, large)
        began = time.monotonic()
        expect("T15: a window held shut: head", ("status", 200), client.verdict(1))
        kind, _ = client.until(1, "reset")
        expect("T15: a window held shut: reset in time", ("reset", True), (kind, time.monotonic() - began < 10))
    with Client(port, window=0) as client:
        client.ask(1, large)
        client.verdict(1)
        client.put(*[raw(8, 0, 1, b"\x00\x00\x00\x01")] * 50)
        client.until(1, "reset")
        expect("T15: a window of 50 bytes gets 50 bytes", 50, len(client.data(1)))
    show_reader_who_does_not(port, large)
    for what, wanted, stream in (("the connection's", "goaway", 0), ("a stream's", "reset", 1)):
        with Client(port) as client:
            client.ask(1, USUAL)
            client.put(*[raw(8, 0, stream, b"\x7f\xff\xff\xff")] * 2)
            seen = ("goaway", client.goaway()) if stream == 0 else client.verdict(1)
            expect(f"T15: {what} window beyond 2^31 - 1", (wanted, FLOW_CONTROL_ERROR), seen)
    with Client(port) as client:
        # Ours is of 64 KiB for a stream, and the origin takes nothing.
        client.put(headers(1, [(":method", "POST"), *USUAL[1:]], "END_HEADERS"), *[raw(0, 0, 1, bytes(16_384))] * 40)
        expect("T15: more data than our window", ("reset", FLOW_CONTROL_ERROR), client.verdict(1))


def show_reader_who_does_not(port, fields):
    """Windows wide open, and not a byte is read: the kernel's buffers fill, and the connection is cut."""
    with Client(port, window=(1 << 31) - 1) as client:
        client.put(raw(8, 0, 0, b"\x7f\x00\x00\x00"), *(headers(stream, fields) for stream in range(1, 41, 2)))
        time.sleep(8)
        taken = 0
        try:
            while part := client.stream.recv(1 << 20):
                taken += len(part)
            how = "end"
        except (TimeoutError, ConnectionError) as error:
            how = type(error).__name__
        # 20 bodies of 10 MiB were asked for.
        expect("T15: nothing is read: cut in time", ("ConnectionResetError", True), (how, taken < 100 << 20))


def with_field(*field):
    return [*USUAL, field]


def replaced(name, value):
    return [(name, value) if known == name else (known, before) for known, before in USUAL]


FORBIDDEN = {
    "connection": with_field("connection", "close"),
    "connection that nominates": with_field("connection", "x-forwarded-for"),
    "keep-alive": with_field("keep-alive", "timeout=5"),
    "proxy-connection": with_field("proxy-connection", "keep-alive"),
    "transfer-encoding": with_field("transfer-encoding", "chunked"),
    "upgrade": with_field("upgrade", "websocket"),
    "te besides trailers": with_field("te", "gzip"),
    "a name in capitals": with_field("X-Upper", "a"),
    "a name with a space": with_field("x y", "a"),
    "a name with a colon": with_field("x:y", "a"),
    "a name with CRLF": with_field("x\r\nhost", "evil"),
    "an empty name": with_field("", "a"),
    "a name beyond ASCII": with_field("x-\u00fc", "a"),
    "a value with CRLF": with_field("x", "a\r\ntransfer-encoding: chunked"),
    "a value with LF": with_field("x", "a\nb"),
    "a value with CR": with_field("x", "a\rb"),
    "a value with NUL": with_field("x", "a\0b"),
    "a value with a space before": with_field("x", " a"),
    "a value with a tab behind": with_field("x", "a\t"),
    "an unknown pseudo-header": with_field(":x", "a"),
    ":status in a request": with_field(":status", "200"),
    ":protocol without CONNECT": [*USUAL, (":protocol", "websocket")],
    "a pseudo-header behind fields": [*USUAL[:3], ("x", "a"), USUAL[3]],
    ":path twice": [*USUAL, USUAL[3]],
    ":method twice": [*USUAL, USUAL[0]],
    ":authority twice": [*USUAL, USUAL[2]],
    "no :method": USUAL[1:],
    "no :scheme": [USUAL[0], *USUAL[2:]],
    "no :path": USUAL[:3],
    "an empty :path": replaced(":path", ""),
    ":path without a slash": replaced(":path", "node1/never"),
    ":path that is a URL": replaced(":path", "http://evil/"),
    ":path with a space": replaced(":path", "/node1/never HTTP/1.1"),
    ":path with CRLF": replaced(":path", "/node1/never HTTP/1.1\r\nhost: evil\r\n\r\n"),
    ":path with a fragment": replaced(":path", "/node1/never#a"),
    ":path of a star for GET": replaced(":path", "*"),
    ":method with a space": replaced(":method", "GET /evil"),
    ":method with CRLF": replaced(":method", "GET / HTTP/1.1\r\n\r\nGET"),
    "an empty :method": replaced(":method", ""),
    ":scheme that is none": replaced(":scheme", "http://evil/?"),
    ":authority with user": replaced(":authority", "evil@localhost"),
    ":authority with a path": replaced(":authority", "localhost/evil"),
    ":authority with CRLF": replaced(":authority", "localhost\r\nx: y"),
    "host that disagrees": with_field("host", "evil"),
    "content-length that is none": with_field("content-length", "+5"),
    "content-lengths that disagree": [*USUAL, ("content-length", "5"), ("content-length", "6")],
    "content-length of a request that has ended": with_field("content-length", "5"),
}


def seen_by_origin(port):
    """How many requests the service has had, those that ask for this not counted."""
    with Client(port) as client:
        client.ask(1, USUAL[:3] + [(":path", "/node1/seen")])
        client.until(1, "end")
        return json.loads(client.data(1))["requests"]


def show_smuggling(port):
    before = seen_by_origin(port)
    for what, fields in FORBIDDEN.items():
        with Client(port) as client:
            encoded = [tuple(part.encode("latin-1") for part in field) for field in fields]
            client.put(headers(1, encoded))
            verdict = client.verdict(1)
            client.put(headers(3, QUICK))
            expect(f"T17: {what}", (("reset", PROTOCOL_ERROR), ("status", 200)), (verdict, client.verdict(3)))
    for what, length, parts in (
        ("more data than declared", "3", [raw(0, 1, 1, b"abcd")]),
        ("less data than declared", "5", [raw(0, 1, 1, b"abcd")]),
        ("trailers that do not end the stream", "4", [raw(0, 0, 1, b"abcd"), headers(1, [("x", "a")], "END_HEADERS")]),
        ("trailers with a pseudo-header", "4", [raw(0, 0, 1, b"abcd"), headers(1, [(":path", "/")])]),
    ):
        with Client(port) as client:
            # The service answers to a whole body alone.
            fields = [(":method", "POST"), *USUAL[1:3], (":path", "/node1/digest"), ("content-length", length)]
            client.put(headers(1, fields, "END_HEADERS"), *parts)
            expect(f"T17: {what}", ("reset", PROTOCOL_ERROR), client.verdict(1))
    # The four bodies may have begun at the origin, which has to have seen them fail.
    expect("T17: the origin saw none of the heads", True, seen_by_origin(port) - before <= 4)


class GoodClient(threading.Thread):
    """Asks one thing after the other, as h2 does it, on a connection of its own until it is told to stop."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.is_done, self.answers = port, False, []

    def run(self):
        connection = h2.connection.H2Connection()
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS_MAX) as stream:
            connection.initiate_connection()
            while not self.is_done:
                number = connection.get_next_available_stream_id()
                connection.send_headers(number, QUICK, end_stream=True)
                self.answers.append(self.answer(connection, stream, number))
                time.sleep(0.005)

    def go_on_for(self, count):
        """Until so many more were answered, or the connection has failed."""
        enough, end = len(self.answers) + count, time.monotonic() + SECONDS_MAX
        while len(self.answers) < enough and not self.is_done and time.monotonic() < end:
            time.sleep(0.01)
        self.is_done = True

    def answer(self, connection, stream, number):
        """The status, once the answer has ended."""
        status = None
        while True:
            stream.sendall(connection.data_to_send())
            try:
                data = stream.recv(1 << 16)
            except OSError as error:
                data, status = b"", str(error)
            if not data:
                self.is_done = True
                return status or "end"
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                if isinstance(event, h2.events.StreamEnded) and event.stream_id == number:
                    return status


def show_faults(port):
    for what, show in {
        "resets": show_resets, "blocks": show_blocks, "bombs": show_bombs, "floods": show_floods,
        "windows": show_windows, "smuggling": show_smuggling,
    }.items():
        good = GoodClient(port)
        good.start()
        show(port)
        good.go_on_for(3)
        good.join(SECONDS_MAX)
        bad = [answer for answer in good.answers if answer != 200]
        expect(f"{what}: a good client beside them is served", (True, []), (bool(good.answers), bad[:3]))


CLIENTS_COUNT, STREAMS_COUNT = 4, 16


class Drained(threading.Thread):
    """Keeps streams under way until GOAWAY; those that it names as taken have to be answered."""

    def __init__(self, port, path):
        super().__init__(daemon=True)
        self.port, self.fields = port, USUAL[:3] + [(":path", path)]
        self.last, self.answered, self.waiting, self.faults = None, 0, set(), []

    def run(self):
        following, end = 1, time.monotonic() + 40
        with Client(self.port) as client:
            while time.monotonic() < end and (self.last is None or self.owed()):
                while self.last is None and len(self.waiting) < STREAMS_COUNT:
                    client.ask(following, self.fields)
                    self.waiting.add(following)
                    following += 2
                if not client.read():
                    break
                for seen in client.seen:
                    self.take(*seen)
                client.seen.clear()
        self.faults += [("lost", stream) for stream in self.owed()]

    def owed(self):
        return [stream for stream in self.waiting if self.last is None or stream <= self.last]

    def take(self, stream, kind, what):
        match kind:
            # One that names no stream announces another, and nothing more is begun all the same.
            case "goaway":
                self.last = what[0]
            case "end":
                self.answered += 1
                self.waiting.discard(stream)
            case "reset" if what != REFUSED_STREAM:
                self.faults.append((stream, "reset", what))
            case "head" if what[":status"] != "200":
                self.faults.append((stream, "status", what))


def show_drain(port, path):
    clients = [Drained(port, path) for _ in range(CLIENTS_COUNT)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
    answered = sum(client.answered for client in clients)
    faults = [fault for client in clients for fault in client.faults]
    untold = [client.answered for client in clients if client.last is None]
    print(f"every client is told by GOAWAY: {f'{len(untold)} were not' if untold else 'ok'}")
    print(f"every stream that was taken is answered, {answered}: {faults[:5] if faults or not answered else 'ok'}")


if sys.argv[2:3] == ["drain"]:
    show_drain(int(sys.argv[1]), sys.argv[3])
else:
    show_faults(int(sys.argv[1]))
