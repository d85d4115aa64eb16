"""An OTLP receiver that shares no code with the daemon: prints its port, then each metric once it has come.

A line is a JSON object: name, kind, unit, resource, and points with attributes and value (sum and count of histograms).
Ends when its standard input does.
"""

import json
import sys
from concurrent import futures

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc


def attributes(pairs):
    return {pair.key: pair.value.string_value for pair in pairs}


def points(metric):
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points:
        value = {"count": point.count, "sum": point.sum} if kind == "histogram" else point.as_double
        yield {"attributes": attributes(point.attributes), "value": value}


class Receiver(metrics_service_pb2_grpc.MetricsServiceServicer):
    def Export(self, request, context):
        for resource in request.resource_metrics:
            of = attributes(resource.resource.attributes)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    told = {"name": metric.name, "kind": kind, "unit": metric.unit, "resource": of}
                    if kind == "sum":
                        told["monotonic"] = metric.sum.is_monotonic
                    told["points"] = list(points(metric))
                    print(json.dumps(told), flush=True)
        return metrics_service_pb2.ExportMetricsServiceResponse()


server = grpc.server(futures.ThreadPoolExecutor(2))
metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Receiver(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
server.stop(None)
