"""All that knows gRPC or protobuf."""
