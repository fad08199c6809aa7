"""Webhooks that the operator configured: their file, the signed events, and how they are sent.

``configuration``  the file, and everything that may be wrong with it
``event``          what a receiver reads
``signature``      how it knows that we wrote it (https://www.standardwebhooks.com)
``sender``         one attempt over http; ``names`` looks its host up
"""
