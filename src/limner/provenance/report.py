"""From what C2PA's reader tells of a file to what we tell of it: short, whatever the file holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

Json: TypeAlias = Mapping[str, Any]

MAX_PROBLEMS: Final = 16
MAX_ACTIONS: Final = 64
MAX_INGREDIENTS: Final = 64
MAX_CHARS: Final = 200

IMAGE_URN: Final = "urn:limner:image:"

_SOURCE_TYPES: Final = {
    "trainedAlgorithmicMedia": "TRAINED_ALGORITHMIC_MEDIA",
    "compositeWithTrainedAlgorithmicMedia": "COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA",
    "algorithmicMedia": "ALGORITHMIC_MEDIA",
}
_STATES: Final = {"Trusted": "TRUSTED", "Valid": "VALID"}
_UNTRUSTED: Final = "signingCredential.untrusted"
_UNVOUCHED: Final = "no list of trust that is set here vouches for the certificate"


def report(store: Json) -> dict[str, Any]:
    """Return the mark that a manifest store is, and the source type that it tells, as plain values."""
    manifests = _mapping(store.get("manifests"))
    active = _mapping(manifests.get(str(store.get("active_manifest"))))
    signature = _mapping(active.get("signature_info"))
    return {
        "state": _STATES.get(str(store.get("validation_state")), "INVALID"),
        "generator": _generator(active),
        "issuer": _short(signature.get("issuer") or signature.get("common_name") or ""),
        "serial": str(signature.get("cert_serial_number", "")),
        "time": str(signature.get("time") or ""),
        "actions": [_short(each.get("action", "")) for each in _actions(active)][:MAX_ACTIONS],
        "ingredients": list(_lineage(manifests, active)),
        "problems": _problems(_mapping(store.get("validation_results"))),
        "sourceType": _source_type(manifests, active),
    }


def _generator(manifest: Json) -> str:
    for each in _maps(manifest.get("claim_generator_info")):
        return _short(each.get("name", ""))
    return _short(manifest.get("claim_generator") or "")


def _actions(manifest: Json) -> Iterator[Json]:
    for assertion in _maps(manifest.get("assertions")):
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            yield from _maps(_mapping(assertion.get("data")).get("actions"))


def _source_type(manifests: Json, active: Json) -> str:
    """Return what the newest manifest says that says anything: opening or resizing a picture changes nothing."""
    for manifest in _generations(manifests, active):
        for action in reversed(list(_actions(manifest))):
            name = str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1]
            if name in _SOURCE_TYPES:
                return _SOURCE_TYPES[name]
    return "UNKNOWN"


def _generations(manifests: Json, active: Json) -> Iterator[Json]:
    """Yield the manifest, and then those of what it was made from, nearest first, each once."""
    seen, waiting = 0, [active]
    known: set[str] = set()
    while waiting and seen < MAX_INGREDIENTS:
        manifest = waiting.pop(0)
        seen += 1
        yield manifest
        for ingredient in _maps(manifest.get("ingredients")):
            label = str(ingredient.get("active_manifest", ""))
            if label in manifests and label not in known:
                known.add(label)
                waiting.append(_mapping(manifests[label]))


def _lineage(manifests: Json, active: Json) -> Iterator[dict[str, str]]:
    count = 0
    for manifest in _generations(manifests, active):
        for ingredient in _maps(manifest.get("ingredients")):
            if count == MAX_INGREDIENTS:
                return
            count += 1
            claimed = str(ingredient.get("instance_id", ""))
            yield {
                "title": _short(ingredient.get("title", "")),
                "state": _ingredient_state(ingredient),
                "imageId": claimed.removeprefix(IMAGE_URN)[:64] if claimed.startswith(IMAGE_URN) else "",
            }


def _ingredient_state(ingredient: Json) -> str:
    if not ingredient.get("active_manifest"):
        return "ABSENT"
    results = _mapping(_mapping(ingredient.get("validation_results")).get("activeManifest"))
    failures = {str(each.get("code")) for each in _maps(results.get("failure"))}
    failures |= {str(each.get("code")) for each in _maps(ingredient.get("validation_status"))}
    if failures - {_UNTRUSTED}:
        return "INVALID"
    successes = {str(each.get("code")) for each in _maps(results.get("success"))}
    return "TRUSTED" if "signingCredential.trusted" in successes and not failures else "VALID"


def _problems(results: Json) -> list[str]:
    """Return what is wrong, each once; what is wrong with ingredients besides."""
    failures = [*_maps(_mapping(results.get("activeManifest")).get("failure"))]
    for delta in _maps(results.get("ingredientDeltas")):
        failures += _maps(_mapping(delta.get("validationDeltas")).get("failure"))
    return list(dict.fromkeys(_problem(each) for each in failures))[:MAX_PROBLEMS]


def _problem(failure: Json) -> str:
    code = str(failure.get("code", ""))
    if code == _UNTRUSTED:
        return _UNVOUCHED
    return _short(f"{code}: {failure.get('explanation') or 'no more is said'}")


def _short(text: object) -> str:
    return "".join(each for each in str(text)[:MAX_CHARS] if each.isprintable())


def _mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _maps(value: object) -> Iterable[Json]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ()
    return (each for each in value if isinstance(each, Mapping))
