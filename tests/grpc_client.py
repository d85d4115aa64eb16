"""Calls health and reflection with the gRPC of Python, which shares no code with the daemon. Prints what it sees as JSON."""

import json
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from google.protobuf.descriptor_pool import DescriptorPool

# The name that grpcio makes of the path is no name that HTTP/2 knows.
channel = grpc.insecure_channel("unix:" + sys.argv[1], options=[("grpc.default_authority", "localhost")])
health = health_pb2_grpc.HealthStub(channel)


def check(service):
    try:
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    except grpc.RpcError as error:
        return error.code().name


watched = next(iter(health.Watch(health_pb2.HealthCheckRequest(service="alpha"), timeout=20)))
database = ProtoReflectionDescriptorDatabase(channel)
service = DescriptorPool(database).FindServiceByName("lake.v1.ControlService")
# v1 has the messages of v1alpha.
v1 = channel.stream_stream(
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    request_serializer=lambda request: request,
    response_deserializer=lambda answer: answer,
)
names = next(iter(v1(iter([b"\x3a\x00"]), timeout=20)))
print(
    json.dumps(
        {
            "health": {name: check(name) for name in ["", "alpha", "nobody"]},
            "watched": health_pb2.HealthCheckResponse.ServingStatus.Name(watched.status),
            "services": sorted(database.get_services()),
            "methods": sorted(method.name for method in service.methods),
            "v1": b"lake.v1.ControlService" in names,
        }
    )
)
