"""Calls the service of `service.rs` in every way; a line for each, which ends in `: ok`. The argument is its address."""

import sys
import threading
import time

import grpc


def say(what, is_right, found=""):
    print(f"{what}: {'ok' if is_right else f'wrong {found}'}", flush=True)


def status_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def main():
    channel = grpc.insecure_channel(sys.argv[1])
    kinds = {"Unary": channel.unary_unary, "Fail": channel.unary_unary, "Slow": channel.unary_unary,
             "None": channel.unary_unary, "Count": channel.stream_unary, "Repeat": channel.unary_stream,
             "SlowStream": channel.unary_stream, "Chat": channel.stream_stream}
    methods = {name: kind(f"/test.Echo/{name}") for name, kind in kinds.items()}

    answer, call = methods["Unary"].with_call(b"hello", timeout=10, metadata=[("x-word", "w")])
    say("unary", answer == b"hello", answer)
    metadata = dict(call.initial_metadata())
    say("metadata", metadata.get("x-word") == "w", metadata)
    large = bytes(range(256)) * 8_000
    say("message of 2 MB", methods["Unary"](large, timeout=10) == large)
    count = methods["Count"](iter([b"x" * 100_000] * 50), timeout=20)
    say("5 MB from the client in 50 messages", count == b"50 messages, 5000000 bytes", count)
    say("stream from the server", list(methods["Repeat"](b"again", timeout=10)) == [b"again"] * 10)

    turns, said = [], threading.Event()

    def words():
        for number in range(20):
            said.clear()
            yield str(number).encode()
            said.wait(10)

    for echo in methods["Chat"](words(), timeout=20):
        turns.append(echo)
        said.set()
    say("both ways, in turns", turns == [str(number).encode() for number in range(20)], turns)

    say("a status of the service's", status_of(lambda: methods["Fail"](b"", timeout=10)) == grpc.StatusCode.FAILED_PRECONDITION)
    say("no such method", status_of(lambda: methods["None"](b"", timeout=10)) == grpc.StatusCode.UNIMPLEMENTED)
    code = status_of(lambda: methods["Slow"](b"", timeout=0.3))
    say("deadline before the answer", code == grpc.StatusCode.DEADLINE_EXCEEDED, code)
    code = status_of(lambda: list(methods["SlowStream"](b"", timeout=0.3)))
    say("deadline within the answer", code == grpc.StatusCode.DEADLINE_EXCEEDED, code)
    for name in ["Slow", "SlowStream"]:
        method = methods[name]
        call = method.future(b"") if name == "Slow" else method(b"")
        time.sleep(0.2)
        call.cancel()
        say(f"{name} is canceled", call.code() == grpc.StatusCode.CANCELLED, call.code())
    say("after all that", methods["Unary"](b"still", timeout=10) == b"still")

    # grpc.health.v1.HealthCheckRequest { service: "test.Echo" } -> { status: SERVING }
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    say("health", check(b"\n\x09test.Echo", timeout=10) == b"\x08\x01")
    # ServerReflectionRequest { list_services: "" }
    info = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    listed = b"".join(info(iter([b":\x00"]), timeout=10))
    say("reflection", b"grpc.health.v1.Health" in listed, listed)
    # Time for the server to see the last reset.
    time.sleep(0.2)


main()
