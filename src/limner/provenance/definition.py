"""What our manifests say, in the words of C2PA 2."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

from limner.domain.provenance import GENERATOR, SourceType
from limner.provenance.report import IMAGE_URN
from limner.service.marks import Making

_IPTC: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_SOURCE_TYPES: Final = {
    SourceType.TRAINED_ALGORITHMIC_MEDIA: _IPTC + "trainedAlgorithmicMedia",
    SourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA: _IPTC + "compositeWithTrainedAlgorithmicMedia",
    SourceType.ALGORITHMIC_MEDIA: _IPTC + "algorithmicMedia",
}
_INCLUDED: Final = "org.limner.included"


def manifest_definition(making: Making) -> dict[str, Any]:
    """Return the manifest of a picture, but for its ingredients' own manifests."""
    assertions: list[dict[str, Any]] = [{"label": "c2pa.actions.v2", "data": {"actions": list(_actions(making))}}]
    if making.told:
        assertions.append({"label": _INCLUDED, "data": dict(making.told)})
    return {
        "claim_generator_info": [{"name": GENERATOR, "version": version("limner")}],
        "title": making.title,
        "assertions": assertions,
    }


def ingredient_definition(image_id: str, title: str, content_type: str, *, parent: bool) -> dict[str, str]:
    """Return how an ingredient is named, and what it is to the picture."""
    return {
        "title": title,
        "format": content_type,
        "label": image_id,
        "instance_id": IMAGE_URN + image_id,
        "relationship": "parentOf" if parent else "inputTo",
    }


def _actions(making: Making) -> Iterator[dict[str, Any]]:
    for each in making.ingredients:
        if each.parent:
            yield {"action": "c2pa.opened", "parameters": {"ingredientIds": [each.image_id]}}
    action: dict[str, Any] = {"action": making.action}
    if making.source_type in _SOURCE_TYPES:
        action["digitalSourceType"] = _SOURCE_TYPES[making.source_type]
    if making.model:
        action["softwareAgent"] = {"name": making.model}
        if making.model_version:
            action["softwareAgent"]["version"] = making.model_version
    if others := [each.image_id for each in making.ingredients if not each.parent]:
        action["parameters"] = {"ingredientIds": others}
    yield action
