"""The models, one file per vendor."""
