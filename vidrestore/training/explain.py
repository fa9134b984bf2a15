"""The weights of a config's losses, each with what was published and where."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from vidrestore.training.engine.run import RunConfig
from vidrestore.training.losses.semantic import STYLE_FORMS
from vidrestore.training.tasks.parser import ParserConfig
from vidrestore.training.tasks.psfrgan import PsfrganConfig
from vidrestore.training.tasks.restorer_config import RestorerConfig
from vidrestore.training.tasks.stylegan2 import StyleGan2Config


class Published(NamedTuple):
    """A published figure."""

    value: float | None
    """None where a source says nothing."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedWeight:
    """One weight of a config."""

    name: str
    value: float
    published: Published

    @property
    def differs(self) -> bool:
        """Whether the config has another figure than the source."""
        return self.published.value is not None and self.value != self.published.value

    def __str__(self) -> str:
        """Return a line: name, value, source."""
        note = f"; published: {self.published.value:g}" if self.differs else ""
        return f"{self.name:<22} {self.value:<8g} {self.published.source}{note}"


_Sources: TypeAlias = Mapping[str, Published]
_OPTIONS = "train_gfpgan_v1.yml"
_OWN = Published(None, "our own")
_TEMPORAL = Published(None, "Lai et al. 2018, 3.2: 100 beside 10 of perceptual, of a network after")

GFPGAN_SOURCES: _Sources = MappingProxyType(
    {
        "l1": Published(0.1, f"GFP-GAN 3.5; {_OPTIONS}: pixel_opt.loss_weight"),
        "pyramid": Published(1, f"GFP-GAN 3.2; {_OPTIONS}: pyramid_loss_weight"),
        "pyramid_until": Published(50_000, f"{_OPTIONS}: remove_pyramid_loss"),
        "perceptual": Published(1, f"GFP-GAN 3.5; {_OPTIONS}: perceptual_opt.perceptual_weight"),
        "style": Published(50, f"{_OPTIONS}: perceptual_opt.style_weight"),
        "adversarial": Published(0.1, f"GFP-GAN 3.5; {_OPTIONS}: gan_opt.loss_weight"),
        "component": Published(1, f"GFP-GAN 3.5; {_OPTIONS}: gan_component_opt.loss_weight"),
        "component_style": Published(200, f"GFP-GAN 3.5; {_OPTIONS}: comp_style_weight"),
        "component_matching": Published(0, "GFP-GAN 4.3, figure 6: the alternative to style"),
        "identity": Published(10, f"GFP-GAN 3.5; {_OPTIONS}: identity_weight"),
        "r1_weight": Published(10, f"{_OPTIONS}: r1_reg_weight"),
        "r1_interval": Published(16, f"{_OPTIONS}: net_d_reg_every"),
        "prior_lr_scale": Published(0, f"{_OPTIONS}: fix_decoder"),
    }
)
MMRB_SOURCES: _Sources = MappingProxyType(
    {
        "l1": Published(8, "MMRB 3.4, equation 14: lambda_L1"),
        "pyramid": Published(None, "MMRB 3.1: L1 at every scale, without a figure"),
        "pyramid_until": Published(None, "MMRB 3.1: without a figure"),
        "perceptual": Published(0.02, "MMRB 3.4, equation 14: lambda_FM"),
        "style": Published(0, "not in MMRB"),
        "adversarial": Published(0.5, "MMRB 3.4, equation 13: lambda_g"),
        "component": Published(3, "MMRB 3.4, equation 13: lambda_l"),
        "component_style": Published(0, "not in MMRB"),
        "component_matching": Published(0, "not in MMRB"),
        "identity": Published(10, "MMRB 3.4, equation 15: lambda_FP"),
        "r1_weight": Published(None, "not in MMRB; GPEN's 10"),
        "r1_interval": Published(None, "not in MMRB; GPEN's 16"),
        "prior_lr_scale": Published(0.1, "MMRB 4.2: 2e-4 of 2e-3"),
    }
)
_PSFRGAN_SOURCES: _Sources = MappingProxyType(
    {
        "l1_weight": Published(10, "PSFR-GAN 4.3: lambda_rec; README: --lambda_pix"),
        "l2_weight": Published(0, "PSFR-GAN 3.3, equation 6; not in the released code"),
        "matching_weight": Published(10, "PSFR-GAN 3.3, equation 6; README: --lambda_fm"),
        "adversarial_weight": Published(1, "PSFR-GAN 4.3: lambda_adv; enhance_model: --lambda_g"),
        "temporal_weight": _TEMPORAL,
    }
)
_PARSER_SOURCES: _Sources = MappingProxyType(
    {
        "label_weight": Published(1, "PSFR-GAN A.1, equation 11; parse_model: --parse_map"),
        "pixel_weight": Published(1, "PSFR-GAN A.1, equation 11; parse_model: --parse_sr"),
    }
)
_STYLEGAN2_SOURCES: _Sources = MappingProxyType(
    {
        "r1_weight": Published(10, "StyleGAN2 appendix B; BasicSR: r1_reg_weight"),
        "r1_interval": Published(16, "StyleGAN2 appendix B: lazy regularization"),
        "path_weight": Published(2, "StyleGAN2 appendix B; BasicSR: path_reg_weight"),
        "path_interval": Published(4, "StyleGAN2 appendix B: lazy regularization"),
    }
)


def explain(config: RunConfig) -> list[ExplainedWeight]:
    """Return the weights of a config's losses with their sources."""
    if config.restorer is not None:
        return _restorer_weights(config.restorer)
    if config.psfrgan is not None:
        return _psfrgan_weights(config.psfrgan)
    if config.parser is not None:
        return _fields(config.parser, _PARSER_SOURCES)
    return [] if config.stylegan2 is None else _fields(config.stylegan2, _STYLEGAN2_SOURCES)


def _restorer_weights(config: RestorerConfig) -> list[ExplainedWeight]:
    sources = {"gfpgan": GFPGAN_SOURCES, "gfpgan-clean": GFPGAN_SOURCES, "mmrb": MMRB_SOURCES}
    table = {"temporal": _TEMPORAL, **sources.get(config.network, {})}
    weights = config.loss_weights.by_name()
    # In the order of the papers' sources, then the others.
    names = dict.fromkeys((*GFPGAN_SOURCES, *weights))
    values = {name: weights[name] for name in names if name in weights}
    values |= {"r1_weight": config.r1_weight, "r1_interval": config.r1_interval}
    if config.network != "lite":
        values["prior_lr_scale"] = config.resolved_prior_lr_scale()
    return [
        ExplainedWeight(name=name, value=value, published=table.get(name, _OWN))
        for name, value in values.items()
    ]


def _psfrgan_weights(config: PsfrganConfig) -> list[ExplainedWeight]:
    spec = STYLE_FORMS[config.style_form]
    source = "README: --lambda_ss" if config.style_form == "released" else "section 4.3: lambda_ss"
    style = ExplainedWeight(
        name="style_weight",
        value=config.resolved_style_weight(),
        published=Published(spec.weight, f"PSFR-GAN 3.2, {config.style_form} form; {source}"),
    )
    return [*_fields(config, _PSFRGAN_SOURCES), style]


def _fields(
    config: PsfrganConfig | ParserConfig | StyleGan2Config, sources: _Sources
) -> list[ExplainedWeight]:
    return [
        ExplainedWeight(name=name, value=getattr(config, name), published=published)
        for name, published in sources.items()
    ]
