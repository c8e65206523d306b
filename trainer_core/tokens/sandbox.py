"""Where chat templates run: no way out of Jinja, and bounds on what a rendering makes and takes.

Jinja's own sandbox keeps a template from Python; it does not keep `'A' * 10**9`, a loop of loops or
a text that is doubled forty times from taking all memory and time. Here loops are counted and
values measured (tokens/render_budget.py): a template is changed after it is parsed, so that it
hands both to filters of ours. A single long call of Jinja or Python is not cut short;
tokens/trial.py renders first where that can be.
"""

import json
from functools import update_wrapper
from typing import Any, cast

import jinja2
from jinja2 import nodes, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, _PassArg
from jinja2.visitor import NodeTransformer

from trainer_core.tokens.growth import ASKED_FIRST, Asked, asked_method, power_digits
from trainer_core.tokens.render_budget import RenderBudget, TooMuchError, size_of

MAX_DIGITS = 18
MAX_INDENTATION = 64
MAX_RANGE = 100_000
# Nothing that a chat template needs, and each a way to make much out of little.
LEFT_OUT_FILTERS = ("pprint", "urlize", "wordwrap", "xmlattr")
LEFT_OUT_GLOBALS = ("cycler", "joiner", "lipsum")
LEFT_OUT_METHODS = frozenset({"encode", "expandtabs", "to_bytes", "translate"})


class BoundedContext(Context):
    """What a rendering knows, and what is left to it."""

    budget: RenderBudget

    def derived(self, locals: dict[str, Any] | None = None) -> Context:
        """The context of a block within, with the same budget."""
        context = cast(BoundedContext, super().derived(locals))
        context.budget = self.budget
        return context


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, where what a template makes and how long it takes is bounded."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})
    context_class = BoundedContext

    def __init__(self, **options: Any) -> None:
        # Unoptimised: what Jinja works out beforehand is bounded by nothing.
        super().__init__(optimized=False, **options)
        self.filters["tojson"] = to_json
        for name in LEFT_OUT_FILTERS:
            del self.filters[name]
        for name, original in self.filters.items():
            self.filters[name] = _bounded(original, ASKED_FIRST.get(name))
        self.filters.update(_OURS)
        for name in LEFT_OUT_GLOBALS:
            del self.globals[name]
        self.globals["range"] = _range
        self.globals["namespace"] = _namespace

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _Bounding().generic_visit(tree)
        tree.set_environment(self)
        return tree

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may have `obj.attr`."""
        return attr not in LEFT_OUT_METHODS and super().is_safe_attribute(obj, attr, value)

    def call(*given: Any, **named: Any) -> Any:
        """What `function(…)` in a template gives."""
        self, context, function, *arguments = given
        budget = context.budget
        budget.step()
        method = getattr(function, "__wrapped__", function)  # as Jinja wraps str.format
        text, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(function, LoopContext) and arguments:
            arguments[0] = _Counted(arguments[0], budget)
        if isinstance(text, str):
            arguments = asked_method(budget, text, name, arguments)
        parent: Any = super(BoundedEnvironment, self)
        return budget.made(parent.call(context, function, *arguments, **named))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """`left operator right`, if the result is no larger than a template can want."""
        if operator == "+" and type(left) is type(right) is str:
            context.budget.make(len(left) + len(right))
            return left + right
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | bytes | list | tuple) and isinstance(times, int):
                    one = size_of(many) if isinstance(many, list | tuple) else len(many)
                    context.budget.make(one * max(0, times))
        elif operator == "**" and power_digits(left, right) > MAX_DIGITS:
            raise TooMuchError("raises a number to too high a power")
        elif operator == "%" and isinstance(left, str):
            ASKED_FIRST["format"](context.budget, left)
        return context.budget.made(super().call_binop(context, operator, left, right))


def render_bounded(template: jinja2.Template, known: dict[str, Any], **values: Any) -> str:
    """The text of a template, until it makes more than any conversation asks for.

    `known` is the template's globals as a plain dict: Jinja would copy them from a chain of maps
    for each text, which takes as long as rendering it.

    Raises TooMuchError, and whatever the template raises.
    """
    context = cast(BoundedContext, template.new_context({**known, **values}, shared=True))
    context.budget = RenderBudget(values)
    return "".join(template.root_render_func(context))


def to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As transformers' `tojson`: plain JSON, not made safe for HTML."""
    if indent is not None and not (isinstance(indent, int) and indent <= MAX_INDENTATION):
        raise TooMuchError("indents JSON too far")
    if separators is not None and sum(map(len, separators)) > MAX_INDENTATION:
        raise TooMuchError("parts JSON too far")
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


class _Bounding(NodeTransformer):
    """Hands the loops of a template and what it makes to the filters of ours."""

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _through("measured", node) if isinstance(node.arg, nodes.Slice) else node

    def visit_ScopedEvalContextModifier(self, node: nodes.Node) -> nodes.Node:  # noqa: N802
        raise jinja2.TemplateSyntaxError("autoescape is for web pages", node.lineno)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - as Jinja names them
        self.generic_visit(node)
        node.iter = _through("counted", node.iter)
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.nodes = [_through("written", _plain(part)) for part in node.nodes]
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _through("concatenated", nodes.List(node.nodes, lineno=node.lineno))

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _through("measured", node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _through("measured", node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _through("measured", node) if node.ctx == "load" else node

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if isinstance(node.target, nodes.NSRef):
            node.node = _through("kept", node.node)
        return node


def _through(name: str, node: nodes.Node) -> nodes.Filter:
    return nodes.Filter(cast(nodes.Expr, node), name, [], [], None, None, lineno=node.lineno)


def _plain(node: nodes.Expr) -> nodes.Expr:
    if isinstance(node, nodes.TemplateData):
        return nodes.Const(node.data, lineno=node.lineno)
    return node


class _Counted:
    """What a loop goes over; Jinja asks for its length where the template does."""

    def __init__(self, items: Any, budget: RenderBudget) -> None:
        self._items = items
        self._budget = budget

    def __iter__(self) -> Any:
        return self._budget.steps(self._items)

    def __len__(self) -> int:
        return len(self._items)


@pass_context
def _counted(context: BoundedContext, items: Any) -> _Counted:
    return _Counted(items, context.budget)


@pass_context
def _written(context: BoundedContext, value: Any) -> str:
    context.budget.step()
    if isinstance(value, str):
        context.budget.make(len(value))
        return value
    context.budget.made([value] if isinstance(value, Namespace) else value)
    return context.budget.made(str(value))


@pass_context
def _concatenated(context: BoundedContext, parts: list[Any]) -> str:
    texts = [part if isinstance(part, str) else _written(context, part) for part in parts]
    context.budget.make(sum(map(len, texts)))
    return "".join(texts)


@pass_context
def _measured(context: BoundedContext, value: Any) -> Any:
    context.budget.step()
    return context.budget.made(value)


@pass_context
def _kept(context: BoundedContext, value: Any) -> Any:
    """What a namespace is given: it may hold no other, of which it could be made to be full."""
    if isinstance(value, Namespace):
        size_of(value)
    return context.budget.made(value)


_OURS = {
    "counted": _counted,
    "written": _written,
    "concatenated": _concatenated,
    "measured": _measured,
    "kept": _kept,
}


@pass_context
def _namespace(context: BoundedContext, *given: Any, **named: Any) -> Namespace:
    context.budget.made([*given, named])
    return Namespace(*given, **named)


def _bounded(original: Any, ask_first: Asked | None) -> Any:
    """A filter that asks before, where it has to, and is measured after."""
    passed = _PassArg.from_obj(original)

    @pass_context
    def bounded(context: BoundedContext, value: Any, /, *arguments: Any, **named: Any) -> Any:
        budget = context.budget
        budget.step()
        if ask_first is not None:
            value = ask_first(budget, value, *arguments, **named)
        first: tuple[Any, ...] = ()
        if passed is _PassArg.context:
            first = (context,)
        elif passed is _PassArg.eval_context:
            first = (context.eval_ctx,)
        elif passed is _PassArg.environment:
            first = (context.environment,)
        return budget.made(original(*first, value, *arguments, **named))

    return update_wrapper(bounded, original, updated=())


def _range(*arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > MAX_RANGE:
        raise TooMuchError("counts too far")
    return numbers
