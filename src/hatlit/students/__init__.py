"""Untrained architectures of known size."""
