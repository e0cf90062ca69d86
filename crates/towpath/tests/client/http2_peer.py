"""Python's h2 as an origin over TLS: `http2_peer.py CERTIFICATE KEY` prints its port.

Bodies come back as they went; what else a path does is in `Connection.answer`. Over HTTP/1.1 it answers with the path.
"""

import socket
import ssl
import sys
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


class Connection:
    """One connection, in a thread of its own."""

    def __init__(self, stream):
        self.stream = stream
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values={STREAMS: 10})
        # By stream: what waits for room, and whether it is all.
        self.out = {}
        # What came behind this stream was not looked at.
        self.last = None

    def serve(self):
        self.h2.initiate_connection()
        self.flush()
        while not self.has_left() and (data := self.stream.recv(1 << 16)):
            for event in self.h2.receive_data(data):
                self.handle(event)
            self.pump()
            self.flush()
        if self.last is not None:
            self.h2.close_connection(last_stream_id=self.last)
            self.flush()
            self.stream.shutdown(socket.SHUT_WR)
            while self.stream.recv(1 << 16):
                pass

    def has_left(self):
        return self.last is not None and not any(stream < self.last for stream in self.out)

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            if self.last is None:
                self.answer(event.stream_id, dict(event.headers)[b":path"].decode())
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if event.stream_id in self.out:
                self.out[event.stream_id][0].extend(event.data)
        elif isinstance(event, h2.events.StreamEnded) and event.stream_id in self.out:
            self.out[event.stream_id][1] = True
        elif isinstance(event, h2.events.StreamReset):
            self.out.pop(event.stream_id, None)

    def answer(self, stream, path):
        if path == "/old":
            return self.h2.reset_stream(stream, h2.errors.ErrorCodes.HTTP_1_1_REQUIRED)
        self.h2.send_headers(stream, [(":status", "200")])
        if path == "/echo":
            self.out[stream] = [bytearray(), False]
            return
        if path == "/lower":
            self.h2.update_settings({STREAMS: 2})
        if path == "/leave":
            self.last = stream
        self.h2.send_data(stream, path.encode(), end_stream=True)

    def pump(self):
        for stream, (data, is_all) in list(self.out.items()):
            while data:
                room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(data))
                if room == 0:
                    break
                self.h2.send_data(stream, bytes(data[:room]))
                del data[:room]
            if is_all and not data:
                self.h2.end_stream(stream)
                del self.out[stream]

    def flush(self):
        self.stream.sendall(self.h2.data_to_send())


def serve_http1(stream):
    head = b""
    while data := stream.recv(1 << 16):
        head += data
        if not head.endswith(b"\r\n\r\n"):
            continue
        path, head = head.split(b" ")[1], b""
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))


def serve(stream, context):
    try:
        stream = context.wrap_socket(stream, server_side=True)
        if stream.selected_alpn_protocol() == "h2":
            Connection(stream).serve()
        else:
            serve_http1(stream)
    except OSError:
        # The client has gone.
        pass


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    context.set_alpn_protocols(["h2", "http/1.1"])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=serve, args=(stream, context), daemon=True).start()


main()
