"""Who calls: access tokens, and the keys that they are signed with.

``verifier`` decides about a token with a key from ``keys``:
one of a published key set (``jwks``, kept current by ``rotation``) or the
service's own (``local_key``). ``claims`` is what a token says about its user.
"""
