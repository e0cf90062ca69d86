"""A WebSocket echo server, a client that counts what comes back, and one that is steered line by line.

    websocket.py server [PORT]      says `port NUMBER listens`; echoes; the message `close` makes it close with 4001
    websocket.py client URL COUNT   exchanges COUNT messages in turn, then prints a line of JSON
    websocket.py tunnel URL         echoes each line of its input through one connection that stays open
"""

import asyncio
import json
import sys

import websockets

MESSAGE_MAX = 4 << 20


async def serve(port):
    last_close = {}

    async def session(connection, *_):
        try:
            async for message in connection:
                if message == "close":
                    await connection.close(4001, "as asked")
                elif message == "last":
                    await connection.send(json.dumps(last_close))
                else:
                    await connection.send(message)
        except websockets.ConnectionClosed:
            pass
        last_close.update(code=connection.close_code, reason=connection.close_reason)

    server = await websockets.serve(session, "127.0.0.1", port, max_size=MESSAGE_MAX, ping_interval=None)
    print(f"port {server.sockets[0].getsockname()[1]} listens", flush=True)
    await asyncio.Future()


def connect(url):
    return websockets.connect(url, max_size=MESSAGE_MAX, ping_interval=None)


async def exchange(url, count):
    facts = {"text": 0, "binary": 0}
    async with connect(url) as connection:
        for number in range(count):
            text = f"message {number} " + "ä" * (number % 300)
            message = text if number % 2 else text.encode() * 3
            await connection.send(message)
            facts["text" if number % 2 else "binary"] += await connection.recv() == message
        large = bytes(range(256)) * 8192
        await connection.send(large)
        facts["large"] = await connection.recv() == large
        pong = await connection.ping()
        await pong
        facts["pong"] = True
        await connection.send("close")
        await connection.wait_closed()
        facts["server_close"] = [connection.close_code, connection.close_reason]
    async with connect(url) as connection:
        await connection.close(4002, "client is done")
    async with connect(url) as connection:
        await connection.send("last")
        facts["client_close"] = json.loads(await connection.recv())
    print(json.dumps(facts))


async def tunnel(url):
    async with connect(url) as connection:
        print("open", flush=True)
        lines = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(lines)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while line := await lines.readline():
            await connection.send(line.decode().strip())
            print(await connection.recv(), flush=True)


if sys.argv[1] == "server":
    asyncio.run(serve(int(sys.argv[2]) if len(sys.argv) > 2 else 0))
elif sys.argv[1] == "client":
    asyncio.run(exchange(sys.argv[2], int(sys.argv[3])))
else:
    asyncio.run(tunnel(sys.argv[2]))
