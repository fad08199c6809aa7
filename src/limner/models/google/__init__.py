"""Google's Gemini image models, by the Developer API (an API key) or by Vertex AI (tokens of Google Cloud).

``catalogue``  the known models and what they can do
``request``    what is asked, in the words of either API
``answer``     what a 200 holds: a picture, words, or one of many refusals
``faults``     what every other status means
``tokens``     access tokens for Vertex AI
``calls``      requests that may cost money
``model``      one call for each picture, side by side

The wire formats are those of google-genai 3.4.0 and Google's published API descriptions of November 2026.
"""

from limner.models.google.catalogue import API_KEY_VARIABLES, DEVELOPER_URL, KNOWN_MODELS, gemini_capabilities
from limner.models.google.model import GeminiModel
from limner.models.google.tokens import VertexTokens

__all__ = ["API_KEY_VARIABLES", "DEVELOPER_URL", "KNOWN_MODELS", "GeminiModel", "VertexTokens", "gemini_capabilities"]
