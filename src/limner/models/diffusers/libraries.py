"""diffusers' pipelines, importable beside a package that it would use by itself.

``invisible-watermark`` is here for its weights alone, without OpenCV. diffusers 0.42 looks whether the package is
installed, not whether it can be imported, and then fails to import its own pipelines; it has no setting for that.
"""

from importlib.util import find_spec

from diffusers.utils import import_utils

if find_spec("cv2") is None:
    import_utils._invisible_watermark_available = False

# Only now: what is imported here looks at that.
from diffusers import AutoPipelineForImage2Image, DiffusionPipeline

__all__ = ["AutoPipelineForImage2Image", "DiffusionPipeline"]
