"""How the schema came to be: one file per step in ``versions``, run by ``schema.migrate``.

A new step: change ``tables.py``, add ``versions/v0002_….py`` with ``down_revision = "0001"``, set ``schema.NEWEST``.
A test compares what the steps make with ``tables.py``, on both databases. Steps never import ``tables.py``.
"""
