"""HTTP beside gRPC: what Envoy's transcoder can't say, each door in a package of its own."""
