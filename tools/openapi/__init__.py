"""The OpenAPI 3.1 description of the service, made from its descriptor."""

from tools.openapi.document import document as document
