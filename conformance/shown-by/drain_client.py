"""Clients that ask in a closed loop while a gateway is told to stop, and tell what became of their requests.

    drain_client.py PORT PID CLIENTS [close]

After a second of load PID gets SIGTERM. A client ends when connecting is refused. A request is failed when its
connection ends after it was written and before its answer is whole, or when the answer is not 200. Before a kept
connection is written on, it is asked whether it has ended, as clients with a pool do.
"""

import json
import os
import select
import signal
import socket
import sys
import threading
import time

PORT, PID, CLIENTS = (int(word) for word in sys.argv[1:4])
KEEP_ALIVE = "close" not in sys.argv[4:]
OPTION = b"" if KEEP_ALIVE else b"Connection: close\r\n"
REQUEST = b"GET /small HTTP/1.1\r\nHost: localhost\r\n" + OPTION + b"\r\n"

lock = threading.Lock()
seen = {"answered": 0, "answered_after_sigterm": 0, "told_to_leave": 0, "closed_idle": 0, "refused": 0, "failed": []}
stopped = threading.Event()


def count(key, by=1):
    with lock:
        seen[key] += by


def fail(what):
    with lock:
        seen["failed"].append(what)


def exchange(connection):
    """One request; whether its answer is the last of the connection."""
    connection.sendall(REQUEST)
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(f"ended after {data!r}")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    head = head.lower()
    if not head.startswith(b"http/1.1 200 "):
        raise ConnectionError(repr(head))
    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(f"ended inside the body after {len(body)} bytes")
        body += piece
    return b"connection: close" in head


def client():
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", PORT), timeout=30)
        except ConnectionRefusedError:
            return count("refused")
        except OSError as error:
            return fail(f"connect: {error}")
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = 0
            while True:
                if number and select.select([connection], [], [], 0)[0]:
                    count("closed_idle")
                    break
                try:
                    is_last = exchange(connection)
                except (OSError, ConnectionError) as error:
                    return fail(f"request {number} of its connection: {error}")
                number += 1
                count("answered")
                if stopped.is_set():
                    count("answered_after_sigterm")
                if is_last:
                    count("told_to_leave", int(KEEP_ALIVE))
                    break


threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
for thread in threads:
    thread.start()
time.sleep(1)
stopped.set()
os.kill(PID, signal.SIGTERM)
for thread in threads:
    thread.join(60)
print(json.dumps(seen))
