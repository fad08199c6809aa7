"""What adapters of hosted providers share, on top of ``limner.outbound``.

``api``       a provider's API: credentials go to its own origin and nowhere else
``outcome``   whether anything was bought: surely not, a definite answer, or nobody knows
``retry``     when to ask again, from all the forms of hint; and asking again when surely nothing was bought
``results``   the guarded fetch of addresses that a provider names
``breaker``   stops asking a provider that is down, and probes whether it is back
"""
