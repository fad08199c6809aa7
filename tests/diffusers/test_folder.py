"""What is known of a pipeline before it is loaded. None of this needs PyTorch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from limner.domain.task import ASPECT_RATIOS, Operation
from limner.models.diffusers import Device, DiffusersModel, DiffusersOptions
from limner.models.diffusers.folder import facts, find
from limner.models.diffusers.sizes import size_for

SOURCES = Path(__file__).resolve().parents[2] / "src"


def write(folder: Path, class_name: Any = "StableDiffusionPipeline", **configs: Any) -> Path:
    """Write the files that tell about a pipeline, without weights."""
    for name, values in {"model_index": {"_class_name": class_name}, **configs}.items():
        path = folder / ("model_index.json" if name == "model_index" else f"{name}/config.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    return folder


@pytest.mark.parametrize(("pixels", "multiple"), [(512**2, 8), (1024**2, 16), (1024**2, 64)])
@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
def test_sizes_are_near_the_shape_and_the_pixels(pixels: int, multiple: int, ratio: str) -> None:
    across, down = ASPECT_RATIOS[ratio]
    width, height = size_for((across, down), pixels, multiple)
    assert width % multiple == height % multiple == 0
    assert width / height == pytest.approx(across / down, rel=0.02)
    assert width * height == pytest.approx(pixels, rel=0.3)


def test_native_square_is_exact() -> None:
    assert size_for((1, 1), 512**2, 8) == (512, 512)
    assert size_for((1, 1), 1024**2, 16) == (1024, 1024)


@pytest.mark.parametrize("shape", [(1, 16_384), (16_384, 1)])
def test_extreme_shapes_have_a_size(shape: tuple[int, int]) -> None:
    assert min(size_for(shape, 512**2, 8)) >= 8


def test_sizes_come_from_the_files(tmp_path: Path) -> None:
    folder = write(tmp_path, unet={"sample_size": 96}, vae={"block_out_channels": [1, 2, 3, 4]})
    known = facts(folder)
    assert known is not None
    assert (known.pixels, known.multiple) == (768**2, 8)


def test_transformers_take_squares_of_latents(tmp_path: Path) -> None:
    folder = write(tmp_path, "FluxPipeline", transformer={}, vae={"block_out_channels": [1, 2, 3, 4]})
    known = facts(folder)
    assert known is not None
    assert (known.pixels, known.multiple) == (1024**2, 16)


def test_only_variant_of_the_weights_is_found(tmp_path: Path) -> None:
    folder = write(tmp_path, unet={})
    (folder / "unet" / "diffusion_pytorch_model.fp16-00001-of-00002.safetensors").touch()
    known = facts(folder)
    assert known is not None
    assert known.variant == "fp16"
    (folder / "unet" / "diffusion_pytorch_model-00001-of-00002.safetensors").touch()
    known = facts(folder)
    assert known is not None
    assert known.variant == ""


@pytest.mark.parametrize(
    ("class_name", "operations", "max_input_images", "factors"),
    [
        ("StableDiffusionXLPipeline", {Operation.GENERATE, Operation.EDIT}, 1, ()),
        ("Flux2Pipeline", {Operation.GENERATE, Operation.EDIT}, 4, ()),
        ("SanaPipeline", {Operation.GENERATE}, 0, ()),
        ("QwenImageEditPlusPipeline", {Operation.EDIT}, 3, ()),
        ("StableDiffusionUpscalePipeline", {Operation.UPSCALE}, 1, (4,)),
        ("StableDiffusionLatentUpscalePipeline", {Operation.UPSCALE}, 1, (2,)),
    ],
)
def test_capabilities_come_from_the_class(
    tmp_path: Path, class_name: str, operations: set[Operation], max_input_images: int, factors: tuple[int, ...]
) -> None:
    capabilities = DiffusersModel("m", str(write(tmp_path, class_name)), Device()).capabilities
    assert set(capabilities.operations) == operations
    assert capabilities.max_input_images == max_input_images
    assert capabilities.upscale_factors == factors
    assert ("auto" in capabilities.aspect_ratios) == (Operation.EDIT in operations)
    assert capabilities.seeds
    assert capabilities.local
    assert capabilities.price_usd == 0


def test_operator_says_what_an_unknown_class_can_do(tmp_path: Path) -> None:
    source = str(write(tmp_path, "NewestPipeline"))
    assert DiffusersModel("m", source, Device()).capabilities.operations == ()
    model = DiffusersModel("m", source, Device(), DiffusersOptions(operations=(Operation.GENERATE,)))
    assert model.capabilities.operations == (Operation.GENERATE,)


def test_code_named_as_the_pipeline_is_not_known(tmp_path: Path) -> None:
    assert facts(write(tmp_path, ["pipeline", "OwnPipeline"])) is None


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}"])
def test_broken_files_tell_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "model_index.json").write_text(text)
    assert facts(tmp_path) is None


def test_hub_id_is_found_in_the_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--maker--model"
    assert find("maker/model") is None
    folder = write(repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert find("maker/model") == folder
    assert find("maker/other") is None


def test_missing_package_is_named() -> None:
    code = """
from limner.models.diffusers import Device, DiffusersModel
print(DiffusersModel("m", "maker/model", Device()).unready_reason())
"""
    environment = {"PYTHONPATH": str(SOURCES)}
    without_packages = subprocess.run([sys.executable, "-S", "-c", code], env=environment, capture_output=True)
    assert b"the package torch is not installed: pip install 'limner[diffusers]'" in without_packages.stdout


def test_service_imports_nothing_heavy() -> None:
    heavy = {"torch", "diffusers", "transformers", "numpy", "PIL"}
    code = f"import sys, limner.models.diffusers; print({heavy} & set(sys.modules))"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True).stdout == b"set()\n"
