"""The inputs of the form as components of Gradio."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vidrestore.web.form import Field, Form, RawValue

_SLIDER_STEP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldInput:
    """A field and its components."""

    field: Field
    value: Any
    own: Any | None = None
    """A switch for the value that depends on others, such as the model's own detail."""

    @property
    def components(self) -> list[Any]:
        """The components, the value first."""
        return [self.value] if self.own is None else [self.value, self.own]


class FormInputs:
    """All inputs of the form, in the order in which the browser sends their values."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.inputs: list[FieldInput] = []

    @property
    def components(self) -> list[Any]:
        """The components of all inputs."""
        return [component for field_input in self.inputs for component in field_input.components]

    def add(self, gradio: Any, fields: Sequence[Field], slider_starts: dict[str, float]) -> None:
        """Make the components of some fields, where the page is being built.

        Args:
            gradio: The module.
            fields: The fields.
            slider_starts: Where a slider stands whose field has no default, by name.
        """
        for field in fields:
            self.inputs.append(_make(gradio, field, slider_starts.get(field.name, 0.5)))

    def raw(self, values: Sequence[Any]) -> dict[str, RawValue]:
        """Return the values of all fields by name, from those of all components."""
        remaining = iter(values)
        raw: dict[str, RawValue] = {}
        for field_input in self.inputs:
            value = next(remaining)
            is_own = field_input.own is not None and next(remaining)
            raw[field_input.field.name] = None if is_own else value
        return raw

    def shown(self, gradio: Any, raw: dict[str, RawValue]) -> list[Any]:
        """Return the updates of all components that show some values."""
        updates: list[Any] = []
        for field_input in self.inputs:
            value = raw[field_input.field.name]
            if field_input.own is None:
                updates.append(gradio.update(value="" if value is None else value))
            else:
                is_own = value is None
                slider = {} if is_own else {"value": value}
                updates.append(gradio.update(interactive=not is_own, **slider))
                updates.append(gradio.update(value=is_own))
        return updates


def _make(gradio: Any, field: Field, slider_start: float) -> FieldInput:
    more: dict[str, Any] = {
        "label": field.label,
        "info": field.help,
        "elem_id": f"field-{field.name}",
    }
    option, default = field.setting.option, field.default
    if field.kind == "switch":
        return FieldInput(field=field, value=gradio.Checkbox(value=default, **more))
    if field.kind == "choice":
        choices = [(choice, choice) for choice in field.choices]
        if field.setting.nullable:
            choices = [(option.means or "none", ""), *choices]
        box = gradio.Dropdown(choices=choices, value="" if default is None else default, **more)
        return FieldInput(field=field, value=box)
    if field.kind == "text":
        text = "" if default is None else str(default)
        box = gradio.Textbox(value=text, placeholder=option.means, max_length=200, **more)
        return FieldInput(field=field, value=box)
    bounds = {"minimum": option.low, "maximum": option.high, "step": _SLIDER_STEP}
    if not field.setting.nullable:
        return FieldInput(field=field, value=gradio.Slider(value=default, **bounds, **more))
    slider = gradio.Slider(value=slider_start, interactive=False, **bounds, **more)
    own = gradio.Checkbox(
        value=True, label=f"{field.label}: {option.means}", elem_id=f"own-{field.name}"
    )

    def enable(is_own: bool) -> Any:
        return gradio.update(interactive=not is_own)

    own.change(
        enable,
        own,
        slider,
        show_progress="hidden",
        queue=False,
        api_visibility="private",
    )
    return FieldInput(field=field, value=slider, own=own)
