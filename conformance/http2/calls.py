"""grpcio as a peer of the gateway; messages are bare bytes.

    calls.py server PORT              a service of all four kinds of calls, and the health service of gRPC
    calls.py health TARGET STATUS     has that server say so of its service; prints what its health service says then
    calls.py client TARGET [CA.PEM]   calls it through a gateway, over TLS if there is a CA; prints `WHAT: ok`, or what
                                      was wrong
"""

import pathlib
import sys
import threading
import time
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

SERVICE = "towpath.Peer"
SECONDS_MAX = 20
MESSAGES = [b"%d" % number * 100 for number in range(20)]
LARGE = bytes(range(256)) * (4 << 12)
# What a call costs beyond the message itself must not exceed the limit that grpcio has by default.
BYTES_MAX = len(LARGE) + 1024

cancelled = threading.Event()


def echo(message, context):
    context.send_initial_metadata([("x-initial", "one"), ("x-initial-bin", b"\x00\xff")])
    asked = dict(context.invocation_metadata())
    context.set_trailing_metadata([("x-seen", asked.get("x-text", "")), ("x-seen-bin", asked.get("x-bytes-bin", b""))])
    return message


def spread(message, _):
    for number in range(int(message)):
        yield b"%d" % number


def gather(messages, _):
    return b"".join(messages)


def relay(messages, _):
    yield from messages


def remain(_, context):
    return b"%f" % context.time_remaining()


def wait(_, context):
    """Until the client goes."""
    context.add_callback(cancelled.set)
    yield b"here"
    cancelled.wait(SECONDS_MAX)


def was_cancelled(_message, _context):
    came = cancelled.wait(SECONDS_MAX / 2)
    cancelled.clear()
    return b"yes" if came else b"no"


def sleep(message, _):
    time.sleep(float(message))
    return b"late"


def fail(_, context):
    context.set_trailing_metadata([("x-hint", "smaller")])
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "zu groß, 100 %")


def serve(port):
    servicer = health.HealthServicer()

    def say_health(status, _):
        servicer.set(SERVICE, health_pb2.HealthCheckResponse.ServingStatus.Value(status.decode()))
        return b""

    handlers = {
        "SayHealth": grpc.unary_unary_rpc_method_handler(say_health),
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Spread": grpc.unary_stream_rpc_method_handler(spread),
        "Gather": grpc.stream_unary_rpc_method_handler(gather),
        "Relay": grpc.stream_stream_rpc_method_handler(relay),
        "Remain": grpc.unary_unary_rpc_method_handler(remain),
        "Wait": grpc.unary_stream_rpc_method_handler(wait),
        "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
        "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }
    server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", BYTES_MAX)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    servicer.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


CASES = {}


def case(name):
    return lambda test: CASES.setdefault(name, test)


def method(channel, kind, name, service=SERVICE):
    return getattr(channel, kind)(f"/{service}/{name}")


def unary(channel, name, message=b"", timeout=SECONDS_MAX, service=SERVICE, **options):
    return method(channel, "unary_unary", name, service)(message, timeout=timeout, **options)


def failure(call):
    """The code and the words of a call that has to fail."""
    try:
        return call(), None
    except grpc.RpcError as error:
        return error.code(), error.details()


@case("unary, metadata both ways, binary too")
def show_unary(channel):
    metadata = [("x-text", "a b"), ("x-bytes-bin", b"\x00\x01\xfe\xff")]
    response, call = method(channel, "unary_unary", "Echo").with_call(b"hello", timeout=SECONDS_MAX, metadata=metadata)
    initial, trailing = dict(call.initial_metadata()), dict(call.trailing_metadata())
    seen = (response, initial["x-initial"], initial["x-initial-bin"], trailing["x-seen"], trailing["x-seen-bin"])
    return seen, (b"hello", "one", b"\x00\xff", "a b", b"\x00\x01\xfe\xff")


@case("an empty message")
def show_empty(channel):
    return unary(channel, "Echo"), b""


@case("server streaming")
def show_spread(channel):
    seen = list(method(channel, "unary_stream", "Spread")(b"200", timeout=SECONDS_MAX))
    return seen, [b"%d" % at for at in range(200)]


@case("client streaming")
def show_gather(channel):
    return method(channel, "stream_unary", "Gather")(iter(MESSAGES), timeout=SECONDS_MAX), b"".join(MESSAGES)


@case("both streaming, in turns")
def show_relay(channel):
    turn = threading.Semaphore(1)

    def ask():
        for message in MESSAGES:
            turn.acquire(timeout=SECONDS_MAX)
            yield message

    seen = []
    for message in method(channel, "stream_stream", "Relay")(ask(), timeout=SECONDS_MAX):
        seen.append(message)
        turn.release()
    return seen, MESSAGES


@case("a message of 4 MiB")
def show_large(channel):
    return len(LARGE) == 4 << 20 and unary(channel, "Echo", LARGE) == LARGE, True


@case("16 calls of 1 MiB at a time")
def show_many(channel):
    calls = [method(channel, "unary_unary", "Echo").future(LARGE[: 1 << 20], timeout=SECONDS_MAX) for _ in range(16)]
    return [len(call.result()) for call in calls], [1 << 20] * 16


@case("a failure of the server's, with its words and trailers")
def show_failure(channel):
    try:
        return unary(channel, "Fail"), None
    except grpc.RpcError as error:
        seen = (error.code(), error.details(), dict(error.trailing_metadata()).get("x-hint"))
        return seen, (grpc.StatusCode.RESOURCE_EXHAUSTED, "zu groß, 100 %", "smaller")


@case("the server sees a cancel")
def show_cancel(channel):
    call = method(channel, "unary_stream", "Wait")(b"", timeout=SECONDS_MAX)
    next(call)
    call.cancel()
    return unary(channel, "WasCancelled"), b"yes"


@case("the server sees what remains")
def show_remaining(channel):
    remaining = float(unary(channel, "Remain", timeout=7))
    # grpcio rounds up what it sends.
    return 5 < remaining < 7.1 or remaining, True


@case("without a deadline none is made up")
def show_endless(channel):
    # `time_remaining` of none is what the server's library says of it: decades.
    return failure(lambda: unary(channel, "Echo", b"a", timeout=None)), (b"a", None)


@case("a deadline ends a call")
def show_deadline(channel):
    began = time.monotonic()
    code, _ = failure(lambda: unary(channel, "Sleep", b"5", timeout=0.5))
    return (code, time.monotonic() - began < 4), (grpc.StatusCode.DEADLINE_EXCEEDED, True)


@case("a method that the server does not know")
def show_unknown_method(channel):
    code, words = failure(lambda: unary(channel, "None"))
    return (code, words), (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")


@case("a service that no route knows")
def show_unknown_service(channel):
    return failure(lambda: unary(channel, "Echo", service="towpath.None")), (grpc.StatusCode.UNIMPLEMENTED, "no_route")


@case("a server that is down")
def show_down(channel):
    seen = failure(lambda: unary(channel, "Echo", service="towpath.Down"))
    return seen, (grpc.StatusCode.UNAVAILABLE, "connect_refused")


def set_health(target, status):
    with grpc.insecure_channel(target) as channel:
        unary(channel, "SayHealth", status.encode())
        asked = health_pb2.HealthCheckRequest(service=SERVICE)
        answer = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=SECONDS_MAX)
        print(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def call_all(target, ca=None):
    options = [("grpc.max_receive_message_length", BYTES_MAX), ("grpc.enable_retries", 0)]
    if ca:
        credentials = grpc.ssl_channel_credentials(pathlib.Path(ca).read_bytes())
        channel = grpc.secure_channel(target, credentials, options)
    else:
        channel = grpc.insecure_channel(target, options)
    with channel:
        for name, test in CASES.items():
            try:
                seen, wanted = test(channel)
                result = "ok" if seen == wanted else f"{seen} instead of {wanted}"
            except Exception as error:
                result = f"{type(error).__name__} {error}".replace("\n", " ")[:300]
            print(f"{name}: {result}", flush=True)


if sys.argv[1] == "server":
    serve(int(sys.argv[2]))
elif sys.argv[1] == "health":
    set_health(*sys.argv[2:])
else:
    call_all(*sys.argv[2:])
