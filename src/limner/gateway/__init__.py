"""Envoy in front of the service: its configuration and its process."""
