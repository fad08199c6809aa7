"""Signed pictures of the whole service, read by C2PA's own reader in a process that knows nothing of ours."""

import json
import subprocess
import sys
from pathlib import Path

from tests.certificates import signer_in
from tests.service import WORKSPACE, running_service

READER = """
import c2pa, json, sys
for path in sys.argv[1:]:
    reader = c2pa.Reader(path)
    active = reader.get_active_manifest()
    names = [action["action"] for each in active["assertions"] for action in each["data"].get("actions", ())]
    print(json.dumps([reader.get_validation_state(), names, len(json.loads(reader.json())["manifests"])]))
"""


def test_what_is_made_reads_as_valid_elsewhere(tmp_path: Path) -> None:
    settings = signer_in(tmp_path / "signer").settings
    prefix = f"/v1/workspaces/{WORKSPACE}"
    with running_service(tmp_path / "data", env=settings) as service, service.rest() as client:
        tasks, sources, paths = f"{prefix}/image-generation-tasks", [], []
        for kind in ("png", "jpeg", "webp"):
            made = client.post(tasks, json={"prompt": "a fox", "outputFormat": kind}).json()
            assert made.get("detail") is None
            sources.append(made["images"][0])
        edit = {"prompt": "at night", "imageIds": [sources[1]["id"]]}
        first = client.post(f"{prefix}/image-edit-tasks", json=edit).json()["images"][0]
        edit = {"prompt": "in snow", "imageIds": [first["id"]]}
        second = client.post(f"{prefix}/image-edit-tasks", json=edit).json()["images"][0]
        told = client.get(f"{prefix}/images/{second['id']}/provenance").json()
        for number, image in enumerate((*sources, first, second)):
            content = client.get(image["_links"]["content"])
            assert len(content.content) == image["imageSize"]
            paths.append(tmp_path / f"{number}.{content.headers['content-type'].removeprefix('image/')}")
            paths[-1].write_bytes(content.content)
        smaller = client.get(second["_links"]["content"], params={"width": 128, "format": "webp"})
        paths.append(tmp_path / "smaller.webp")
        paths[-1].write_bytes(smaller.content)

    mark, watermark = told["marks"]
    assert (watermark["kind"], watermark["state"]) == ("WATERMARK", "ABSENT")
    assert (mark["state"], mark["by"]) == ("TRUSTED", "limner")
    assert [each["imageId"] for each in mark["ingredients"]] == [first["id"], sources[1]["id"]]
    command = [sys.executable, "-I", "-c", READER, *map(str, paths)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        *(["Valid", ["c2pa.created"], 1] for _ in sources),
        ["Valid", ["c2pa.opened", "c2pa.edited"], 2],
        ["Valid", ["c2pa.opened", "c2pa.edited"], 3],
        ["Valid", ["c2pa.opened", "c2pa.resized"], 4],
    ]
