"""Frames that are wrong, sent beneath wsproto, which reads what comes back.

    frames.py MODE PORT    dials our echo server once for each case; prints `WHAT: ok`, or what was wrong
"""

import socket
import sys
import zlib

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request
from wsproto.extensions import PerMessageDeflate

KEY = bytes([1, 2, 3, 4])
SECONDS_MAX = 30

# What is sent behind the handshake, and the code of the close frame that has to come back.
CASES = []


def case(name, code, *frames):
    CASES.append((name, code, b"".join(frames)))


def frame(first, payload=b"", length=None):
    """A masked frame; `length` replaces the bytes of the length."""
    size = len(payload)
    if length is None:
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    masked = bytes(byte ^ KEY[at % 4] for at, byte in enumerate(payload))
    return bytes([first]) + length + KEY + masked


def deflated(data):
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


for bit in (0x10, 0x20, 0x30):
    case(f"reserved bits {bit:02x}", 1002, frame(0x81 | bit, b"a"))
for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    case(f"opcode {opcode}", 1002, frame(0x80 | opcode))
case("compressed ping", 1002, frame(0xC9))
case("compressed continuation", 1002, frame(0x01, b"a"), frame(0xC0, b"b"))
case("not masked", 1002, b"\x81\x01a")
case("length in 2 bytes too many", 1002, frame(0x82, b"a", b"\xfe\x00\x01"))
case("length in 8 bytes too many", 1002, frame(0x82, b"a", b"\xff" + (1).to_bytes(8, "big")))
case("length of 2^63", 1002, frame(0x82, b"", b"\xff\x80" + bytes(7)))
case("length of 2^63 - 1", 1009, frame(0x82, b"", b"\xff\x7f" + b"\xff" * 7))
case("frame of 1 MiB and a byte", 1009, frame(0x82, b"", b"\xff" + (2**20 + 1).to_bytes(8, "big")))
case("ping in fragments", 1002, frame(0x09, b"a"), frame(0x80, b"b"))
case("ping of 126 bytes", 1002, frame(0x89, b"a" * 126))
case("continuation of nothing", 1002, frame(0x80, b"a"))
case("message inside a message", 1002, frame(0x01, b"a"), frame(0x81, b"b"))
case("text that is not UTF-8", 1007, frame(0x81, b"\xff"))
case("text that is cut short", 1007, frame(0x01, b"\xe2\x82"), frame(0x80, b""))
case("text with a surrogate", 1007, frame(0x01, b"\xed"), frame(0x80, b"\xa0\x80"))
case("compressed noise", 1007, frame(0xC2, b"\xff\xff\xff\xff"))
case("compressed text that is not UTF-8", 1007, frame(0xC1, deflated(b"a\xff")))
case("bomb", 1009, frame(0xC2, deflated(bytes(2**20))))
case("close of one byte", 1002, frame(0x88, b"\x03"))
for number in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535):
    case(f"close {number}", 1002, frame(0x88, number.to_bytes(2, "big")))
case("close reason that is not UTF-8", 1007, frame(0x88, b"\x03\xe8\xff"))
case("300 empty fragments", 1008, frame(0x01), frame(0x00) * 300)
case("close 1000", 1000, frame(0x88, b"\x03\xe8"))
case("close 4999 between fragments", 4999, frame(0x01, b"a"), frame(0x88, b"\x13\x87"))
case("close without a code", 1005, frame(0x88))


def close_code_for(port, wire):
    """The code that comes back; None if the connection ends without."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as stream:
        peer = WSConnection(ConnectionType.CLIENT)
        stream.sendall(peer.send(Request(host="localhost", target="/", extensions=[PerMessageDeflate()])))
        is_open = False
        while True:
            data = stream.recv(65_536)
            peer.receive_data(data or None)
            for event in peer.events():
                if isinstance(event, AcceptConnection) and not is_open:
                    is_open = True
                    stream.sendall(wire)
                if isinstance(event, CloseConnection):
                    return event.code if data else None
            if not data:
                return None


port = int(sys.argv[2])
for name, wanted, wire in CASES:
    found = close_code_for(port, wire)
    print(f"{name}: {'ok' if found == wanted else f'{found} instead of {wanted}'}", flush=True)
