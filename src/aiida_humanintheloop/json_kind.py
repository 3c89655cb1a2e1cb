"""The kind of answer that a JSON Schema, or a pydantic model, describes."""

from __future__ import annotations

import importlib
import json
from operator import attrgetter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, JsonValue, ValidationError
from pydantic.dataclasses import dataclass

from .exceptions import InvalidAnswer
from .kind import BaseKind, why_not_kept
from .text import shown

__all__ = ["Json"]


def _validator(schema: dict[str, Any]) -> Any:
    # Imported when it is needed: with all that JupyterLab brings for it, it takes a
    # second of CPU, which no other kind of question should cost.
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema)


def _schema_of(value: object) -> object:
    """Take a pydantic model for its JSON Schema."""
    if isinstance(value, type) and issubclass(value, BaseModel):
        if "<locals>" in value.__qualname__:
            raise ValueError(
                f"{value.__qualname__} cannot be found again by who judges the answer: "
                "define the model in a module"
            )
        path = f"{value.__module__}:{value.__qualname__}"
        return {**value.model_json_schema(), "x-model": path}
    return value


@dataclass(frozen=True)
class Json(BaseKind):
    """Whatever a JSON Schema, or a pydantic model, describes."""

    described_by: Annotated[dict[str, JsonValue], BeforeValidator(_schema_of)]
    kind: Literal["json"] = "json"

    def __post_init__(self) -> None:
        """Refuse what is no JSON Schema, when the question is written."""
        _validator(self.described_by).check_schema(self.described_by)

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value."""
        return dict(self.described_by)

    @property
    def expects(self) -> str:
        """What an answer has to be."""
        title = self.described_by.get("title")
        return f"JSON for {title}" if title else "JSON that fits the schema"

    def parse(self, raw: object) -> object:
        """Read JSON from text; text that is none may itself be the value."""
        if isinstance(raw, str):
            try:
                return json.loads(raw)
            except ValueError:
                return raw
        return raw

    def read(self, raw: object) -> Any:
        """Return the value, or say which part of it does not fit."""
        if raw is None or raw == "":
            raise InvalidAnswer(f"No answer was given: it must be {self.expects}.")
        from referencing.exceptions import Unresolvable

        try:
            value = self.parse(raw)
            if isinstance(raw, str) and not self.fits(value) and self.fits(raw):
                value = raw  # what looks like a number may be wanted as text
            if why := why_not_kept(value):
                raise ValueError(why)
            for error in _validator(self.schema).iter_errors(value):
                raise ValueError(f"at {error.json_path}, {error.message}")
            value = self._through_the_model(value)
            if why := why_not_kept(value):  # a model may change what it checks
                raise ValueError(why)
            return value
        except (ValueError, ArithmeticError, RecursionError, Unresolvable) as error:
            why = " ".join(str(error).split())
            raise InvalidAnswer(
                f"{shown(raw)} was not taken: the answer must be {self.expects} "
                f"({why[:200]})."
            ) from error

    def fits(self, value: Any) -> bool:
        """Return whether the schema allows a value."""
        return bool(_validator(self.schema).is_valid(value))

    def _through_the_model(self, value: Any) -> Any:
        """Have a pydantic model check what its schema cannot say."""
        path = self.described_by.get("x-model")
        if not isinstance(path, str):
            return value
        module, _, name = path.partition(":")
        try:
            model = attrgetter(name)(importlib.import_module(module))
        except (ImportError, AttributeError):
            return value
        try:
            return model.model_validate(value).model_dump(mode="json", by_alias=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise ValueError(f"at {where}, {first['msg']}") from error
