"""An echo server of WebSockets for the browser's page.

    chat.py PORT
"""

import asyncio
import sys

import websockets


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def main():
    async with websockets.serve(echo, "127.0.0.1", int(sys.argv[1])):
        await asyncio.Event().wait()


asyncio.run(main())
