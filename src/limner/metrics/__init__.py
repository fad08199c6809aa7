"""Metrics for Prometheus: counted by each worker, shown on one page for all of them."""
