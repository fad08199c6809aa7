"""OpenAI's Images API, for its SDKs as they are. Base address: ``/v1/workspaces/{workspaceId}/openai``."""

from limner.web.openai.door import openai_door as openai_door
