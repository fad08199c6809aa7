"""Models that fal.ai runs, asked through its queue.

``catalogue``  what is known about each model: endpoints, fields, limits, prices
``requests``   an order as the calls that fill it
``account``    what all models of one key share: the API, the storage for inputs, the way to results
``storage``    inputs: small ones travel in the request, larger ones are uploaded
``queue``      the queue protocol: submit, wait, withdraw
``answers``    what a finished job holds, and what an error means
``delivery``   keeps count of the pictures of an order
``model``      the adapter
"""

from limner.models.fal.account import FalAccount
from limner.models.fal.catalogue import BASE_URL, KEY_VARIABLE, KNOWN_MODELS, FalFacts, find_facts
from limner.models.fal.model import FalModel
from limner.models.fal.queue import Patience

__all__ = ["BASE_URL", "KEY_VARIABLE", "KNOWN_MODELS", "FalAccount", "FalFacts", "FalModel", "Patience", "find_facts"]
