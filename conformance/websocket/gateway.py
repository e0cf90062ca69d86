"""Python's websockets as a client of a gateway whose route demands something of WebSockets.

    gateway.py PORT PROCESS    dials an echo server through the gateway at PORT; prints `WHAT: ok`, or what was wrong.
                               Ends the gateway, whose number is PROCESS, to see how it says goodbye.
"""

import asyncio
import os
import signal
import sys

import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

# The route lets in pages below example.com, messages of 4 MiB, and 1,000 of them in a minute.
MESSAGE_MAX = 4 << 20
COUNT_MAX = 1_000
CLIENTS_COUNT = 20


def dial(port, **options):
    return websockets.connect(
        f"ws://127.0.0.1:{port}", max_size=None, compression=None, ping_interval=None, **options)


async def origins(port):
    for origin, wanted in [("https://evil.net", 403), ("https://example.com", 403), ("https://app.example.com", 101)]:
        try:
            async with dial(port, origin=origin):
                status = 101
        except InvalidStatus as refused:
            status = refused.response.status_code
        say(f"origin {origin}", status == wanted)


async def sizes(port):
    async with dial(port) as socket:
        await socket.send(b"x" * MESSAGE_MAX)
        say("message of 4 MiB", len(await socket.recv()) == MESSAGE_MAX)
        say("a byte more", await closed(socket, socket.send(b"x" * (MESSAGE_MAX + 1))) == (1009, "ws_message_too_large"))


async def rates(port):
    async with dial(port) as socket:
        async def flood():
            for _ in range(COUNT_MAX + 1):
                await socket.send("x")

        say("too many messages", await closed(socket, flood()) == (1008, "ws_message_rate"))


async def pings(port):
    """The gateway asks an idle side every second; who answers stays, and hears nothing of the origin's answers."""
    async with dial(port) as socket:
        try:
            await asyncio.wait_for(socket.recv(), 4)
            say("idle, and asked", False)
        except TimeoutError:
            await socket.send("still here")
            say("idle, and asked", await socket.recv() == "still here")


async def drain(port, process):
    """Everybody is told, by and by; what was sent before is echoed."""
    sockets = [await dial(port) for _ in range(CLIENTS_COUNT)]
    for socket in sockets:
        await socket.send("before")
        await socket.recv()
    os.kill(process, signal.SIGTERM)
    codes = [await closed(socket, asyncio.sleep(0)) for socket in sockets]
    say(f"goodbye to {CLIENTS_COUNT}", codes == [(1001, "draining")] * CLIENTS_COUNT)


async def closed(socket, sending):
    """The code and reason with which the gateway closes."""
    try:
        await sending
        while True:
            await asyncio.wait_for(socket.recv(), 30)
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else None


def say(what, is_right):
    print(f"{what}: {'ok' if is_right else 'wrong'}", flush=True)


async def main(port, process):
    await origins(port)
    await sizes(port)
    await rates(port)
    await pings(port)
    await drain(port, process)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
