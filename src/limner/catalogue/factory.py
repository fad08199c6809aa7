"""Models from entries. A vendor's room is imported when the catalogue has a model of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from limner.catalogue.entries import CatalogueError, Entry
from limner.imaging.codec import PillowCodec
from limner.models.realesrgan import RealEsrganModel, UpscalerProcess, realesrgan_capabilities
from limner.models.realesrgan.catalogue import NETWORKS
from limner.models.sketch import SketchModel, sketch_capabilities
from limner.models.upright import with_upright_inputs
from limner.service.ports import ImageModel

if TYPE_CHECKING:
    from limner.models.diffusers import Device
    from limner.models.fal import FalAccount
    from limner.models.google.tokens import VertexTokens
    from limner.models.http.breaker import Breakers, BreakerSnapshot
    from limner.models.openai import OpenAiModel
    from limner.outbound.client import HttpClient, Timeouts


_CODEC_THREADS: Final = 2
_CODEC_QUEUE: Final = 1024
"""Inputs that wait to be prepared for providers; as many tasks may be at work as the service has seats."""


class ModelFactory:
    """Makes the models of one service. What they can share they do: connections, processes, accounts, breakers."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._upscaler: UpscalerProcess | None = None
        self._client: HttpClient | None = None
        self._codec: PillowCodec | None = None
        self._breakers: Breakers | None = None
        self._tokens: VertexTokens | None = None
        self._devices: dict[str, Device] = {}
        self._accounts: dict[tuple[object, ...], FalAccount] = {}
        self._openai_models: list[OpenAiModel] = []

    def make(self, entry: Entry) -> ImageModel:
        """Return the model of an entry; raise ``CatalogueError`` when the adapter finds it wrong."""
        makers: Mapping[str, Callable[[Entry], ImageModel]] = {
            "sketch": self._sketch,
            "realesrgan": self._realesrgan,
            "openai": self._openai,
            "fal": self._fal,
            "google": self._google,
            "diffusers": self._diffusers,
        }
        try:
            model = makers[entry.adapter](entry)
        except (ValueError, TypeError) as error:
            raise CatalogueError([f"{entry.id}: {error}"]) from error
        if model.capabilities.local or entry.keep_metadata:
            return model
        return with_upright_inputs(model, self._pictures())

    @property
    def breakers(self) -> "Breakers":
        """The circuit breakers of all models."""
        from limner.models.http.breaker import Breakers

        self._breakers = self._breakers or Breakers()
        return self._breakers

    def breaker_snapshots(self) -> "Sequence[BreakerSnapshot]":
        """Return how the breakers stand now; none where no model has one."""
        return () if self._breakers is None else self._breakers.snapshots()

    def refused_fields(self) -> Mapping[str, tuple[str, ...]]:
        """Return the fields that the servers of models turned out not to take, by the model's id."""
        return {each.capabilities.id: each.refused_fields for each in self._openai_models if each.refused_fields}

    async def close(self) -> None:
        """Close what the models share."""
        if self._client is not None:
            await self._client.close()
        if self._codec is not None:
            self._codec.close()

    def _pictures(self) -> PillowCodec:
        self._codec = self._codec or PillowCodec(threads=_CODEC_THREADS, queue=_CODEC_QUEUE)
        return self._codec

    def _http(self) -> "HttpClient":
        from limner.outbound.client import HttpClient

        self._client = self._client or HttpClient()
        return self._client

    def _key(self, variable: str) -> str:
        return self._environment.get(variable, "") if variable else ""

    def _sketch(self, entry: Entry) -> ImageModel:
        return SketchModel(capabilities=sketch_capabilities(entry.id).overridden(entry.overrides))

    def _realesrgan(self, entry: Entry) -> ImageModel:
        if entry.upstream not in NETWORKS:
            raise ValueError(f"upstream_model must be one of {', '.join(NETWORKS)}")
        self._upscaler = self._upscaler or UpscalerProcess()
        capabilities = realesrgan_capabilities(entry.upstream, entry.id).overridden(entry.overrides)
        return RealEsrganModel(entry.upstream, self._upscaler, capabilities=capabilities)

    def _openai(self, entry: Entry) -> ImageModel:
        from limner.models.openai import API_KEY_ENV, BASE_URL, openai_model

        hosted = entry.base_url.rstrip("/") in ("", BASE_URL)
        variable = entry.api_key_env or (API_KEY_ENV if hosted else "")
        overrides, options = dict(entry.overrides), dict(entry.options)
        if timeout_s := options.pop("timeout_s", None):
            options["timeouts"] = _timeouts(timeout_s)
        model = openai_model(
            model_id=entry.id,
            client=self._http(),
            breaker=self.breakers.of("openai", entry.id),
            api_key=self._key(variable),
            api_key_env=variable,
            upstream_model=entry.upstream_model,
            base_url=entry.base_url or BASE_URL,
            operations=overrides.pop("operations", ()),
            price_usd=overrides.pop("price_usd", None),
            result_hosts=entry.result_hosts,
            overrides=overrides,
            **options,
        )
        self._openai_models.append(model)
        return model

    def _fal(self, entry: Entry) -> ImageModel:
        from limner.models.fal import FalModel, find_facts

        facts = find_facts(entry.upstream)
        if facts is None:
            raise ValueError(f"fal's model {entry.upstream} is not known to Limner")
        capabilities = facts.capabilities(entry.id).overridden(entry.overrides)
        breaker = self.breakers.of("fal", entry.id)
        return FalModel(facts, self._fal_account(entry), capabilities=capabilities, breaker=breaker)

    def _fal_account(self, entry: Entry) -> "FalAccount":
        from limner.models.fal import BASE_URL, KEY_VARIABLE, FalAccount, Patience

        variable, base_url = entry.api_key_env or KEY_VARIABLE, entry.base_url or BASE_URL
        timeout_s = entry.options.get("timeout_s")
        name = (variable, base_url, entry.result_hosts, timeout_s)
        if name not in self._accounts:
            self._accounts[name] = FalAccount(
                self._http(),
                self._key(variable),
                base_url=base_url,
                result_hosts=entry.result_hosts,
                key_variable=variable,
                patience=Patience(job_s=timeout_s) if timeout_s else None,
            )
        return self._accounts[name]

    def _google(self, entry: Entry) -> ImageModel:
        from limner.models.google.catalogue import API_KEY_VARIABLES, DEVELOPER_URL, gemini_capabilities
        from limner.models.google.model import GeminiModel
        from limner.models.google.tokens import VertexTokens

        set_variables = [name for name in API_KEY_VARIABLES if self._key(name)]
        hosted = entry.base_url.rstrip("/") in ("", DEVELOPER_URL)
        variable = entry.api_key_env or ([*set_variables, API_KEY_VARIABLES[0]][0] if hosted else "")
        self._tokens = self._tokens or VertexTokens()
        timeout_s = entry.options.get("timeout_s")
        return GeminiModel(
            capabilities=gemini_capabilities(entry.upstream, entry.id).overridden(entry.overrides),
            upstream_model=entry.upstream,
            client=self._http(),
            breaker=self.breakers.of("google", entry.id),
            base_url=entry.base_url or DEVELOPER_URL,
            api_key=self._key(variable),
            api_key_env=variable or API_KEY_VARIABLES[0],
            tokens=self._tokens,
            timeouts=_timeouts(timeout_s) if timeout_s else None,
        )

    def _diffusers(self, entry: Entry) -> ImageModel:
        from limner.models.diffusers import Device, DiffusersModel, DiffusersOptions

        options = dict(entry.options)
        name = options.pop("device", "")
        device = self._devices.setdefault(name, Device(name))
        known = {each.name for each in fields(DiffusersOptions)}
        options |= {name: value for name, value in entry.overrides.items() if name in known}
        further = {name: value for name, value in entry.overrides.items() if name not in known}
        model = DiffusersModel(entry.id, entry.upstream, device, DiffusersOptions(**options))
        model.capabilities = model.capabilities.overridden(further)
        return model


def _timeouts(total_s: float) -> "Timeouts":
    from limner.outbound.client import Timeouts

    return Timeouts(connect_s=min(Timeouts().connect_s, total_s), first_byte_s=total_s, total_s=total_s)
