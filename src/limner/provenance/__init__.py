"""Marks that say where a picture comes from: signed manifests (C2PA) and watermarks."""
