"""Calls the service of `examples/user.proto`, of which it knows what reflection tells; a line for each call."""

import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SYMBOL = b"users.Users"


def fields(data):
    """The fields of a message whose values have lengths, as (number, value)."""
    at = 0

    def varint():
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(data):
        key = varint()
        value = varint()
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        yield key >> 3, value


def reflected(channel):
    """The messages of the file with the service."""
    info = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    # ServerReflectionRequest { file_containing_symbol: SYMBOL } -> { file_descriptor_response { file_descriptor_proto } }
    response = b"".join(info(iter([b"\x22" + bytes([len(SYMBOL)]) + SYMBOL]), timeout=10))
    descriptors = dict(fields(response))[4]
    file = descriptor_pb2.FileDescriptorProto.FromString(dict(fields(descriptors))[1])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(pool.FindMessageTypeByName(f"users.{name}")) for name in file_names(file)}


def file_names(file):
    return [message.name for message in file.message_type]


def main():
    channel = grpc.insecure_channel(sys.argv[1])
    types = reflected(channel)
    print(sorted(types))

    def method(kind, name, request, response):
        encode, decode = types[request].SerializeToString, types[response].FromString
        return kind(f"/users.Users/{name}", request_serializer=encode, response_deserializer=decode)

    create = method(channel.unary_unary, "Create", "User", "User")
    get = method(channel.unary_unary, "Get", "UserName", "User")
    watch = method(channel.unary_stream, "Watch", "WatchUsers", "User")

    def status(call):
        try:
            call()
        except grpc.RpcError as error:
            return f"{error.code().name} {error.details()}"
        return "OK"

    ada = types["User"](name="Ada", age=36, hobbies=["engines", "numbers"])
    print(create(ada, timeout=10) == ada, get(types["UserName"](name="Ada"), timeout=10) == ada)
    print(status(lambda: create(ada, timeout=10)))
    print(status(lambda: get(types["UserName"](name="Bob"), timeout=10)))

    watching = watch(types["WatchUsers"](), timeout=2)
    print(next(watching).name)
    create(types["User"](name="Bob"), timeout=10)
    print(next(watching).name)
    print(status(lambda: next(watching)))

    # HealthCheckRequest { service: SYMBOL } -> { status: SERVING }
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    print(check(b"\n" + bytes([len(SYMBOL)]) + SYMBOL, timeout=10) == b"\x08\x01")


main()
