"""Limner: an image-generation service."""
