"""Content of images over HTTP: conditional, in parts, by ``sendfile``; also by signed addresses."""

from limner.web.content.door import content_door

__all__ = ["content_door"]
