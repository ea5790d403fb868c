"""`NamedTuple` as `typing` has it, made in a quarter of the time: seventy are, before a command begins.

With `from __future__ import annotations` an annotation is text, and typing compiles each one, to have something to
evaluate later; here they stay text until somebody asks for them (`typing.get_type_hints`). And `collections` compiles a
function for each class: here classes with as many fields share its code, in which only the names differ. Type checkers
see typing's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    import sys
    from collections import _tuplegetter
    from functools import cache
    from types import CodeType, FunctionType

    NAMES = {"make": tuple.__new__, "__builtins__": {}, "__name__": __name__}
    """What the code of each `__new__` knows."""

    @cache
    def _getter(number: int) -> Any:
        return _tuplegetter(number, f"field {number}")

    @cache
    def _new_of(count: int) -> CodeType:
        """The code of a `__new__` with so many fields; their names are to be replaced."""
        fields = "".join(f"_{number}, " for number in range(count))
        return eval(f"lambda _cls, {fields}: make(_cls, ({fields}))", NAMES).__code__  # noqa: S307

    def _make(cls: type, values: Any) -> Any:
        made = tuple.__new__(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, not {len(made)}")
        return made

    def _replace(self: Any, /, **values: Any) -> Any:
        made = tuple.__new__(type(self), map(values.pop, self._fields, self))
        if values:
            raise TypeError(f"{type(self).__name__} has no {', '.join(values)}")
        return made

    def _asdict(self: Any) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def _repr(self: Any) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    SHARED = {
        "__slots__": (),
        "__getnewargs__": lambda self: tuple(self),
        "__replace__": _replace,
        "__repr__": _repr,
        "_asdict": _asdict,
        "_make": classmethod(_make),
        "_replace": _replace,
    }

    class _Making(type):
        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
            if not bases:
                return super().__new__(cls, name, bases, namespace)  # NamedTuple itself
            types = namespace.get("__annotations__", {})
            fields = tuple(map(sys.intern, types))
            defaults = {field: namespace[field] for field in fields if field in namespace}
            code = _new_of(len(fields)).replace(
                co_varnames=("_cls", *fields), co_name="__new__", co_qualname=f"{name}.__new__"
            )
            made = {
                "_fields": fields,
                "_field_defaults": defaults,
                "__match_args__": fields,
                "__new__": FunctionType(code, NAMES, "__new__", tuple(defaults.values()) or None),
            }
            getters = {field: _getter(number) for number, field in enumerate(fields)}
            return type(name, (tuple,), SHARED | made | namespace | getters)

    class NamedTuple(metaclass=_Making):
        """The base of a class that is to be a tuple with names."""
