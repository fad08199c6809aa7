"""The operator's catalogue of models.

``entries``   what stands in the file, and whether it can be right
``factory``   models from entries, one method per adapter; what is known of a model, the file's lines override
``loading``   the catalogue of the file; without one, the embedded models and the hosted ones whose key is there
"""

from limner.catalogue.entries import CatalogueError, Entry
from limner.catalogue.loading import LoadedModels, default_models, load_models

__all__ = ["CatalogueError", "Entry", "LoadedModels", "default_models", "load_models"]
