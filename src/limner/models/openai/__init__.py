"""OpenAI's image models, and every server that speaks OpenAI's protocol.

``catalogue``  the known models and what they can do; makes models out of the operator's words
``dialects``   how other servers differ from OpenAI
``requests``   what is asked: which pictures by one call, and its body
``answers``    what comes back: a document, or the events of a stream
``refusals``   what a vendor's error means for the caller and for money
``model``      the adapter itself
"""

from limner.models.openai.catalogue import API_KEY_ENV, BASE_URL, HOSTED_MODELS, openai_model
from limner.models.openai.dialects import DIALECTS
from limner.models.openai.model import OpenAiModel

__all__ = ["API_KEY_ENV", "BASE_URL", "DIALECTS", "HOSTED_MODELS", "OpenAiModel", "openai_model"]
