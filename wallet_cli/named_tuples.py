"""`NamedTuple` as `typing` has it, without what that spends on annotations when a class is made.

With `from __future__ import annotations` an annotation is text, and typing compiles each one, to have something to
evaluate later: two thirds of the time of making the class, and seventy are made before a command begins. Here they stay
text until somebody asks for them (`typing.get_type_hints`). Type checkers see typing's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from collections import namedtuple

    KEPT = ("__module__", "__annotations__")
    """What the made class has already."""

    class _Making(type):
        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
            if not bases:
                return super().__new__(cls, name, bases, namespace)  # NamedTuple itself
            types = namespace.get("__annotations__", {})
            defaults = [namespace[field] for field in types if field in namespace]
            made = namedtuple(name, types, defaults=defaults, module=namespace["__module__"])
            made.__annotations__ = types
            for key, value in namespace.items():
                if key not in types and key not in KEPT:
                    setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Making):
        """The base of a class that is to be a tuple with names."""
