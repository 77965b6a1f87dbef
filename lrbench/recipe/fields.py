"""What the schema allows at a path, in words: read from its JSON schema, which knows every range."""

from __future__ import annotations

from functools import cache
from typing import Any

from lrbench.recipe.messages import Path
from lrbench.recipe.schema import LARGEST_COUNT, SAFE_NAME, Recipe

# A field of recipe files, gone before a recipe meets its schema.
EXTENDS = "extends"
FREE_NAME = "a name of up to 100 letters, digits, `.`, `_` and `-` that begins with a letter or digit"

JsonSchema = dict[str, Any]


@cache
def _recipe_schema() -> JsonSchema:
    return Recipe.model_json_schema()


def schema_at(path: Path) -> JsonSchema | None:
    """The JSON schema of the field at `path`, or None where the recipe has no such field."""
    node: JsonSchema | None = _recipe_schema()
    for part in path:
        if node is None:
            return None
        inner = _value(node)
        if isinstance(part, int):
            node = inner.get("items")
        else:
            # Where names are free, the schema says what may stand under any of them.
            free = _under_any_name(inner)
            node = inner.get("properties", {}).get(part, {} if free is True else free)
    return node


def _value(node: JsonSchema) -> JsonSchema:
    """The schema behind references and `or null`."""
    for option in node.get("anyOf", []):
        if option.get("type") != "null":
            return _value(option)
    if "$ref" in node:
        definition: JsonSchema = _recipe_schema()["$defs"][node["$ref"].rpartition("/")[2]]
        return _value(definition)
    return node


def _under_any_name(mapping: JsonSchema) -> Any:
    """What may stand under any name, or any of a pattern: a schema, True for anything, None for nothing."""
    patterns = mapping.get("patternProperties", {}).values()
    return mapping.get("additionalProperties") or next(iter(patterns), None)


def is_mapping(path: Path) -> bool:
    """Whether the field at `path` is a mapping with fields of its own."""
    node = schema_at(path)
    return node is not None and "properties" in _value(node)


def has_free_names(path: Path) -> bool:
    """Whether the field at `path` is a mapping of names of the user's own to what has fields."""
    node = schema_at(path)
    free = None if node is None else _under_any_name(_value(node))
    return isinstance(free, dict) and "properties" in _value(free)


def is_list(path: Path) -> bool:
    """Whether the field at `path` is a list, or may be one."""
    node = schema_at(path)
    return node is not None and "items" in _value(node)


def is_number(path: Path) -> bool:
    """Whether the field at `path` holds a number."""
    node = schema_at(path)
    return node is not None and _value(node).get("type") in ("integer", "number")


def is_text(path: Path) -> bool:
    """Whether the field at `path` holds text of the user's own."""
    node = schema_at(path)
    return node is not None and _value(node).get("type") == "string" and not choices_at(path)


def choices_at(path: Path) -> list[str]:
    """The words that may stand at `path`, where no others may."""
    node = schema_at(path)
    if not node:
        return []
    words = [option["const"] for option in node.get("anyOf", []) if "const" in option]
    return [*_value(node).get("enum", []), *_value(node).get("words", []), *words]


def takes_packages(path: Path) -> bool:
    """Whether installed packages can add to the words that may stand at `path`."""
    node = schema_at(path)
    return node is not None and "packages" in _value(node)


def names_at(path: Path) -> list[str]:
    """The names of the fields that the mapping at `path` may have, in the order of the schema."""
    node = schema_at(path)
    return list(_value(node).get("properties", {})) if node else []


def section_names() -> list[str]:
    """The names of a recipe's outermost fields; unlike `names_at`, it needs no JSON schema of all."""
    return [field.alias or name for name, field in Recipe.model_fields.items()]


def leaf_paths() -> list[Path]:
    """Every field that is no mapping, with 0 standing for each place in a list."""

    def within(path: Path) -> list[Path]:
        if is_mapping(path):
            inner = _value(schema_at(path) or {})
            if inner.get("whole"):
                return [path]
            leaves = [leaf for name in inner["properties"] for leaf in within((*path, name))]
            # A component is a field of its own besides: it may be a word, and it may be swept as a whole.
            return [path, *leaves] if "words" in inner else leaves
        if is_list(path) and is_mapping((*path, 0)):
            return [path] if _value(schema_at(path) or {}).get("whole") else within((*path, 0))
        return [path]

    return within(())


def elsewhere(name: str) -> str | None:
    """The outermost section that has a field `name`, to tell someone who put it in the wrong place."""
    sections = [path[:-1] for path in leaf_paths() if path[-1] == name and len(path) > 1]
    return ".".join(str(part) for part in min(sections, key=len)) if sections else None


def allowed(path: Path) -> str:
    """What may stand at `path`, in words: `a whole number of at least 1 or null`."""
    node = schema_at(path)
    if node is None:
        return "nothing"
    if path[:1] == ("arms",) and len(path) == 2:
        return "an arm's name or a mapping"
    options = node.get("anyOf", [node])
    words = [_words(_value(option)) for option in options if option.get("type") != "null"]
    return " or ".join([*words, "null"] if len(words) < len(options) else words)


def _words(node: JsonSchema) -> str:
    if "allowed" in node:
        return str(node["allowed"])
    if "words" in node:
        words = ", ".join(f"`{word}`" for word in node["words"])
        if node.get("whole"):
            names = node["items"]["enum"]
            return f"{words}, a list of {names[0]} ... {names[-1]}, or a mapping of those to true and false"
        fields = ", ".join(node["properties"])
        mapping = f" or a mapping with the fields {fields}" if fields else ""
        return f"{words}{mapping}{' or a list of such mappings' if 'items' in node else ''}"
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        *others, last = [f"`{choice}`" for choice in node["enum"]]
        return f"{', '.join(others)} or {last}"
    match node.get("type"):
        case "integer":
            return _ranged("a whole number", node)
        case "number":
            return _ranged("a number", node)
        case "boolean":
            return "true or false"
        case "string" if node.get("pattern") == SAFE_NAME:
            return FREE_NAME
        case "string":
            return "text that is not empty" if node.get("minLength") else "text"
        case "array":
            return "a list that is not empty" if node.get("minItems") else "a list"
        case "object" if "patternProperties" in node:
            return f"a mapping of names to {_words(_value(_under_any_name(node)))}"
        case "object" if node.get("additionalProperties") == {"type": "string"}:
            return "a mapping of texts to texts"
        case "object" if "properties" not in node:
            holds = "its value" if node["additionalProperties"] is True else "a list of its values"
            return f"a mapping that gives fields, such as `divergence.alpha`, {holds}"
        case _:
            return f"a mapping with the fields {', '.join(node['properties'])}"


def _ranged(kind: str, node: JsonSchema) -> str:
    lower, above = node.get("minimum"), node.get("exclusiveMinimum")
    upper, below = node.get("maximum"), node.get("exclusiveMaximum")
    # The largest count goes without saying.
    if upper not in (None, LARGEST_COUNT) or below is not None:
        start = f"[{lower:g}" if lower is not None else f"({above:g}"
        end = f"{upper:.10g}]" if upper is not None else f"{below:.10g})"
        return f"{kind} in {start}, {end}"
    if above is not None:
        return f"{kind} above {above:g}"
    if lower is None:
        return kind
    return f"{kind} of at least {lower:g}"
