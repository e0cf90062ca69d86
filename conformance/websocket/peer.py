"""Python's websockets as a peer.

    peer.py client MODE PORT    dials an echo server; prints `WHAT: ok`, or what was wrong
    peer.py server MODE         says `port NUMBER` and echoes
"""

import asyncio
import sys

import websockets
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory)

MESSAGE_MAX = 4 << 20
MEBIBYTE = bytes((number * 2654435761 >> 13) & 0xFF for number in range(1 << 20))
LINES = "".join(f"line {number} of a text\n" for number in range(30_000))


def extensions(mode, factory):
    if mode == "plain":
        return None
    alone = mode == "deflate-alone"
    return [factory(server_no_context_takeover=alone, client_no_context_takeover=alone)]


def dial(mode, port, offer=None):
    offer = offer or extensions(mode, ClientPerMessageDeflateFactory)
    return websockets.connect(
        f"ws://127.0.0.1:{port}", max_size=MESSAGE_MAX, compression=None, extensions=offer, ping_interval=None)


async def client(mode, port):
    async with dial(mode, port) as socket:
        say("handshake", bool(socket.protocol.extensions) == (mode != "plain"))
        await messages(socket)
        await fragments(socket)
        await asyncio.wait_for(await socket.ping(b"are you there?"), 30)
        say("ping", True)
    for code, reason in [(1000, ""), (1001, "caf\u00e9"), (3000, "x" * 123), (4999, "bye")]:
        await closing(mode, port, code, reason)
    await refused(mode, port)
    if mode != "plain":
        await windows(mode, port)


async def messages(socket):
    messages = {
        "text": "caf\u00e9 \U0001F6F6", "empty": "", "binary": bytes(range(256)), "125 bytes": b"a" * 125,
        "126 bytes": b"a" * 126, "64 KiB": b"a" * 65_536, "long text": LINES, "1 MiB": MEBIBYTE}
    for name, message in messages.items():
        # Twice, so that a kept window is used.
        for _ in range(2):
            await socket.send(message)
            echo = await socket.recv()
        say(name, echo == message)


async def fragments(socket):
    pieces = ["one, ", "", "two, ", "three"]
    await socket.send(pieces)
    say("text in fragments", await socket.recv() == "".join(pieces))
    pieces = [MEBIBYTE[at:at + 4096] for at in range(0, 1 << 20, 4096)]
    await socket.send(pieces)
    say("1 MiB in fragments", await socket.recv() == MEBIBYTE)


async def closing(mode, port, code, reason):
    async with dial(mode, port) as socket:
        await socket.close(code, reason)
        say(f"close {code}", (socket.close_code, socket.close_reason) == (code, reason))


async def refused(mode, port):
    """A message above the limit is answered with 1009."""
    async with dial(mode, port) as socket:
        try:
            for _ in range(5):
                await socket.send([MEBIBYTE] * 5)
                await socket.recv()
            say("message of 5 MiB", False)
        except ConnectionClosed as closed:
            say("message of 5 MiB", closed.rcvd is not None and closed.rcvd.code == 1009)


async def windows(mode, port):
    for bits in range(9, 16):
        offer = [ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=bits)]
        async with dial(mode, port, offer) as socket:
            await socket.send(LINES)
            say(f"window of 2^{bits}", await socket.recv() == LINES)


async def server(mode):
    async def echo(socket):
        try:
            async for message in socket:
                await socket.send(message)
        except ConnectionClosed:
            pass

    serving = await websockets.serve(
        echo, "127.0.0.1", 0, max_size=MESSAGE_MAX, compression=None, ping_interval=None,
        extensions=extensions(mode, ServerPerMessageDeflateFactory))
    print("port", serving.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


def say(what, is_right):
    print(f"{what}: {'ok' if is_right else 'wrong'}", flush=True)


if sys.argv[1] == "client":
    asyncio.run(client(sys.argv[2], int(sys.argv[3])))
else:
    asyncio.run(server(sys.argv[2]))
