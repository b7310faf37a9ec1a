"""The expression language: an allow-listed subset of Python, checked against the schema when the
config is loaded.

`ast` parses the text. Each node that is allowed becomes a Term; any other is an error with its
place. Nothing of the text ever reaches the generated source: names are looked up, and constants are
the `repr` of plain scalars.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from types import NoneType
from typing import Any, Final

from worker.core.errors import ConfigError
from worker.core.instants import EPOCH_DAY, NANOS
from worker.core.written_times import instant, read_text
from worker.schema.defaults import DOUBLE_MAX
from worker.transforms import values
from worker.transforms.functions import FUNCTIONS, Call, Function
from worker.transforms.kinds import BOOL, FLOAT, INT, NULL, STR, Kind
from worker.transforms.terms import Scope, Term, both, either, lift, negated
from worker.transforms.values import Misused

MAX_CHARS: Final = 4_096
MAX_DEPTH: Final = 40
MAX_TERMS: Final = 5_000
MOST_TEXT: Final = 120
"""Characters of an expression that an error shows."""
MOST_SOURCE: Final = 80
"""Characters of a call that the reject of a record names."""

CONTEXTS: Final = ("partition", "envelope")
"""What the values that stand beside a record begin with."""

_COMPARE: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
}
_WORDS: Final = {"null": None, "true": True, "false": False}
_ORDERED: Final = ("int", "float", "str", "bytes", "date", "time", "timestamp", "decimal")
_ELEMENTS: Final = (*_ORDERED, "bool")
_FRACTION: Final = re.compile(r"[.,](\d+)", re.ASCII)
_TIMES: Final = ("timestamp", "date", "time")
_CONSTANTS: Final[dict[type, Kind]] = {
    NoneType: NULL,
    bool: BOOL,
    int: INT,
    float: FLOAT,
    str: STR,
}


def compile_expression(text: str, scope: Scope) -> Term:
    """The term of an expression.

    Raises:
        ConfigError: the text is no expression over these fields; it names the place in the text.
    """
    if len(text) > MAX_CHARS:
        raise ConfigError(
            f"an expression of {len(text)} characters, at most {MAX_CHARS} are allowed",
            remedy="use a python transform",
        )
    try:
        with warnings.catch_warnings():
            # What Python only warns of, like an unknown escape, is read otherwise than meant.
            warnings.simplefilter("error")
            tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        what, remedy = f"it does not parse: {error.msg}", _syntax_remedy(scope)
        raise _error(text, error.offset or 1, what, remedy) from error
    except (RecursionError, MemoryError, ValueError) as error:
        what = "it is nested too deeply, or it has characters that no expression may have"
        raise _error(text, 1, what, "use a python transform") from error
    return _Compiler(text.strip(), scope).term(tree.body)


def compile_condition(text: str, scope: Scope) -> Term:
    """The term of an expression whose value is true, false or null; raises as
    `compile_expression`."""
    term = compile_expression(text, scope)
    if term.kind not in (BOOL, NULL):
        raise _error(text, 1, f"the condition is {term.kind}", "a comparison or a boolean field")
    return term


def _syntax_remedy(scope: Scope) -> str:
    words = ", ".join(name for name in scope.names() if keyword.iskeyword(name))
    hint = (
        f"the fields {words} are words of Python: rename them in a step before. " if words else ""
    )
    return (
        f"{hint}operators are those of Python: and or not == < + - * / in, is null;"
        " text with backslashes, like a pattern, is written r'...'"
    )


def _error(text: str, column: int, what: str, remedy: str) -> ConfigError:
    shown = _shown(text, MOST_TEXT)
    return ConfigError(f"expression {shown!r}, column {column}: {what}", remedy=remedy)


def _shown(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


class _Compiler:
    """Makes terms of the nodes of one expression."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._text, self._scope, self._depth, self._made = text, scope, 0, 0

    def _refuse(self, node: ast.AST, what: str, remedy: str) -> ConfigError:
        return _error(self._text, getattr(node, "col_offset", 0) + 1, what, remedy)

    def term(self, node: ast.AST) -> Term:
        """The term of any allowed node."""
        make = self._NODES.get(type(node))
        if make is None:
            what = f"{type(node).__name__} is not part of the expression language"
            raise self._refuse(
                node,
                what,
                "fields, constants, and or not, comparisons, arithmetic, in, is null,"
                " a if b else c, and the functions",
            )
        self._depth += 1
        self._made += 1  # an inner term of a chained comparison is made twice
        if self._depth > MAX_DEPTH:
            raise self._refuse(
                node, f"it is nested more than {MAX_DEPTH} deep", "use a python transform"
            )
        if self._made > MAX_TERMS:
            raise self._refuse(
                node, f"it has more than {MAX_TERMS} terms", "use a python transform"
            )
        made = make(self, node)
        self._depth -= 1
        return made

    # -- leaves -----------------------------------------------------------------------------------

    def _name(self, node: ast.Name) -> Term:
        if node.id in _WORDS and node.id not in self._scope.names():
            return self._literal(node, _WORDS[node.id])
        try:
            return self._scope.column(node.id)
        except KeyError:
            raise self._unknown(
                node, f"there is no field {node.id!r}", node.id, self._scope.names(), "fields"
            ) from None

    def _unknown(
        self, node: ast.AST, what: str, name: str, known: list[str], of: str
    ) -> ConfigError:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return self._refuse(node, what, f"{hint}{of}: {', '.join(sorted(known)[:30])}")

    def _attribute(self, node: ast.Attribute) -> Term:
        if (context := _context_of(ast.unparse(node), self._scope.names())) is not None:
            try:
                return self._scope.context(context)
            except KeyError:
                known = self._scope.contexts()
                what = f"there is no {context!r}"
                raise self._unknown(node, what, context, known, "there are") from None
        record = self.term(node.value)
        if record.kind.name != "record":
            raise self._refuse(
                node,
                f"{ast.unparse(node.value)} is {record.kind}, it has no fields",
                "a dot follows a record",
            )
        try:
            return self._scope.member(record, ast.unparse(node.value), node.attr)
        except KeyError:
            raise self._refuse(
                node,
                f"{ast.unparse(node.value)} has no field {node.attr!r}",
                "name a field of that record",
            ) from None

    def _constant(self, node: ast.Constant) -> Term:
        if isinstance(node.value, bool | int | float | str) or node.value is None:
            return self._literal(node, node.value)
        raise self._refuse(
            node,
            f"a constant of type {type(node.value).__name__}",
            "numbers, text, true, false, null",
        )

    def _literal(self, node: ast.AST, value: Any) -> Term:
        if (unfit := _unfit(value)) is not None:
            raise self._refuse(node, *unfit)
        kind = _CONSTANTS[type(value)]
        return Term(repr(value), kind, value is None, atom=True, constant=value)

    # -- logic ------------------------------------------------------------------------------------

    def _bool_op(self, node: ast.BoolOp) -> Term:
        join = both if isinstance(node.op, ast.And) else either
        return join(self._scope, [self._boolean(each) for each in node.values])

    def _boolean(self, node: ast.AST) -> Term:
        term = self.term(node)
        if term.kind not in (BOOL, NULL):
            raise self._refuse(
                node,
                f"{ast.unparse(node)} is {term.kind}",
                "and, or, not and if need booleans: compare it with something",
            )
        return term

    def _if(self, node: ast.IfExp) -> Term:
        test, yes, no = self._boolean(node.test), self.term(node.body), self.term(node.orelse)
        kind = self._common(node, [yes, no])
        first, second = self._as(node, yes, kind).code, self._as(node, no, kind).code
        return Term(
            f"({first} if {test.condition} else {second})", kind, yes.nullable or no.nullable
        )

    def _common(self, node: ast.AST, terms: list[Term]) -> Kind:
        """The kind that all terms have, null aside.

        Whole numbers become numbers beside numbers, constant texts become times beside times, and
        of timestamps that differ in their unit the coarser become finer.
        """
        kinds = _kinds_of(terms)
        if kinds == {INT, FLOAT}:
            return FLOAT
        forms = {(kind.name, kind.local, kind.items) for kind in kinds}
        if len(forms) == 1 and all(kind.name in ("timestamp", "array") for kind in kinds):
            return max(kinds, key=lambda kind: (kind.ticks, kind.nulls))
        if len(kinds) > 1:
            raise self._refuse(
                node,
                f"the values are {' and '.join(sorted(map(str, kinds)))}",
                "values of one type: convert with int(), float(), str() or timestamp()",
            )
        return kinds.pop() if kinds else NULL

    def _as(self, node: ast.AST, term: Term, kind: Kind) -> Term:
        """A term in the kind that it has in common with others."""
        if term.kind == INT and kind == FLOAT:
            return lift(self._scope, [term], FLOAT, lambda x: f"float({x})")
        if _may_be_time(term, kind):
            return self._time_literal(node, term, kind)
        return self._scaled(term, kind.ticks) if term.kind.name == "timestamp" else term

    # -- comparison -------------------------------------------------------------------------------

    def _compare(self, node: ast.Compare) -> Term:
        parts, left = [], node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            parts.append(self._pair(node, left, operator, right))
            left = right
        return both(self._scope, parts) if len(parts) > 1 else parts[0]

    def _pair(
        self, node: ast.Compare, left: ast.expr, operator: ast.cmpop, right: ast.expr
    ) -> Term:
        if isinstance(operator, ast.Is | ast.IsNot):
            return self._is_null(node, left, right, negate=isinstance(operator, ast.IsNot))
        if isinstance(operator, ast.In | ast.NotIn):
            return self._in(node, left, right, negate=isinstance(operator, ast.NotIn))
        a, b = self._comparable(node, self.term(left), self.term(right))
        sign = _COMPARE[type(operator)]
        if a.kind == NULL or b.kind == NULL:
            raise self._refuse(
                node, "a comparison with null is always null", "write: is null, is not null"
            )
        if sign not in ("==", "!=") and a.kind.name not in _ORDERED:
            raise self._refuse(node, f"{a.kind} has no order", "compare it with == or !=")
        return lift(self._scope, [a, b], BOOL, lambda x, y: f"({x} {sign} {y})")

    def _is_null(self, node: ast.Compare, left: ast.expr, right: ast.expr, *, negate: bool) -> Term:
        if self.term(right).kind != NULL:
            raise self._refuse(node, "`is` compares with null only", "write == or !=")
        term = self.term(left)
        if term.is_constant:
            return self._literal(node, (term.constant is None) is not negate)
        return Term(f"({term.code} is {'not ' if negate else ''}None)", BOOL)

    def _in(self, node: ast.Compare, left: ast.expr, right: ast.expr, *, negate: bool) -> Term:
        item = self.term(left)
        if isinstance(right, ast.List | ast.Tuple | ast.Set):
            return self._in_list(node, item, right.elts, negate=negate)
        return self._in_whole(node, item, self.term(right), negate=negate)

    def _in_list(
        self, node: ast.Compare, item: Term, elements: list[ast.expr], *, negate: bool
    ) -> Term:
        """Whether one of the elements equals the item, as `==` and `or` would say it."""
        constants, others = set(), []
        for each in elements:
            _, member = self._comparable(node, item, self.term(each))
            if member.kind == NULL:
                raise self._refuse(
                    each, "a comparison with null is always null", "write: or x is null"
                )
            if member.is_constant:
                constants.add(member.constant)
            else:
                others.append(member)
        # Records and arrays, which equal no constant, cannot be looked for in a set.
        found = self._scope.bind(frozenset(constants) if constants else ())
        if not others:
            word = "not in" if negate else "in"
            return lift(self._scope, [item], BOOL, lambda x: f"({x} {word} {found})")
        known = item if item.atom else _named(item, self._scope.temp())
        parts = [lift(self._scope, [known], BOOL, lambda x: f"({x} in {found})")]
        for other in others:
            pair = self._comparable(node, known, other)
            parts.append(lift(self._scope, [*pair], BOOL, lambda x, y: f"({x} == {y})"))
        whole = either(self._scope, parts)
        whole = negated(self._scope, whole) if negate else whole
        return whole if known is item else _after(f"({known.code} := {item.code})", whole)

    def _in_whole(self, node: ast.Compare, item: Term, whole: Term, *, negate: bool) -> Term:
        """Whether a text, an array or a map has the item: as a part, an element or a key."""
        kind = whole.kind
        if kind.name == "array" and kind.items is not None:
            item, element = self._comparable(node, item, Term("", kind.items))
            fits = element.kind == kind.items and kind.items.name in _ELEMENTS
        else:
            fits = item.kind == STR and (kind == STR or kind.name == "map")
        if not fits or item.kind == NULL:
            raise self._refuse(
                node,
                f"{item.kind} in {kind}",
                "`in` looks for a value in a list or an array, for text in text, "
                "or for a key in a map",
            )
        word = "not in" if negate else "in"
        return lift(self._scope, [item, whole], BOOL, lambda x, y: f"({x} {word} {y})")

    def _comparable(self, node: ast.AST, left: Term, right: Term) -> tuple[Term, Term]:
        """Both terms in one kind: a literal takes the kind of the other side, and of two timestamps
        the one of the coarser unit becomes finer."""
        a, b = left.kind, right.kind
        if _alike(a, b):
            return left, right
        if _may_be_time(right, a):
            return left, self._time_literal(node, right, a)
        if _may_be_time(left, b):
            return self._time_literal(node, left, b), right
        if a.name == b.name == "timestamp" and a.local == b.local:
            finer = max(a.ticks, b.ticks)
            return self._scaled(left, finer), self._scaled(right, finer)
        raise self._refuse(
            node,
            f"{a} is compared with {b}",
            "compare values of one type: convert with int(), float(), str() or date()",
        )

    def _time_literal(self, node: ast.AST, literal: Term, kind: Kind) -> Term:
        text = str(literal.constant)
        if kind.name != "date" and _digits_after_second(text) > len(str(kind.ticks)) - 1:
            raise self._refuse(
                node,
                f"{text!r} is finer than the {kind}",
                f"write at most {len(str(kind.ticks)) - 1} digits after the second",
            )
        try:
            if kind.name == "date":
                ticks = date.fromisoformat(text).toordinal() - EPOCH_DAY
            elif kind.name == "time":
                ticks = values.clock_ticks(text, kind.ticks)
            else:
                written = read_text(text + "Z" if kind.local else text)
                ticks = instant(written) // (NANOS // kind.ticks)
        except (ValueError, TypeError):
            shape = {"date": "2024-12-31", "time": "23:59:59"}.get(
                kind.name, "2024-12-31T23:59:59" + ("" if kind.local else "Z")
            )
            raise self._refuse(node, f"{text!r} is no {kind}", f"write it like {shape!r}") from None
        return Term(repr(ticks), kind, atom=True, constant=ticks)

    def _scaled(self, term: Term, ticks: int) -> Term:
        if term.kind.ticks == ticks:
            return term
        factor = ticks // term.kind.ticks
        return lift(
            self._scope,
            [term],
            Kind("timestamp", ticks, term.kind.local, shown=term.kind.shown),
            lambda x: f"({x} * {factor})",
        )

    # -- arithmetic and functions -----------------------------------------------------------------

    def _arithmetic(self, node: ast.BinOp) -> Term:
        sign = _ARITHMETIC.get(type(node.op))
        if sign is None:
            raise self._refuse(
                node,
                f"the operator {type(node.op).__name__} is not part of the language",
                "use + - * / // %",
            )
        left, right = self.term(node.left), self.term(node.right)
        kinds = {left.kind, right.kind} - {NULL}
        if sign == "+" and kinds == {STR}:
            return lift(self._scope, [left, right], STR, lambda x, y: f"({x} + {y})")
        if not kinds <= {INT, FLOAT}:
            raise self._refuse(
                node,
                f"{left.kind} {sign} {right.kind}",
                "arithmetic needs numbers; + also joins text: convert with int(), float() or str()",
            )
        kind = FLOAT if sign == "/" or FLOAT in kinds else INT
        check = self._scope.bind(values.finite if kind == FLOAT else values.in_64_bits)
        return lift(self._scope, [left, right], kind, lambda x, y: f"{check}({x} {sign} {y})")

    def _unary(self, node: ast.UnaryOp) -> Term:
        if isinstance(node.op, ast.Not):
            return negated(self._scope, self._boolean(node.operand))
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(digits))) if (
                digits == 2**63
            ):
                return self._literal(
                    node, -digits
                )  # the least long: its digits alone are beyond 64 bits
        term = self.term(node.operand)
        if term.kind not in (INT, FLOAT) or not isinstance(node.op, ast.USub | ast.UAdd):
            raise self._refuse(node, f"the sign of {term.kind}", "signs belong to numbers")
        sign = "-" if isinstance(node.op, ast.USub) else "+"
        if term.is_constant:
            return self._literal(node, -term.constant if sign == "-" else term.constant)
        check = self._scope.bind(values.finite if term.kind == FLOAT else values.in_64_bits)
        return lift(self._scope, [term], term.kind, lambda x: f"{check}({sign}{x})")

    def _call(self, node: ast.Call) -> Term:
        if not isinstance(node.func, ast.Name):
            known = f"functions: {', '.join(sorted(FUNCTIONS))}"
            raise self._refuse(node, "only functions of the language can be called", known)
        name = node.func.id
        function = FUNCTIONS.get(name)
        if function is None:
            what = f"there is no function {name!r}"
            raise self._unknown(node, what, name, list(FUNCTIONS), "functions")
        self._check_arguments(node, name, function)
        arguments = [self.term(each) for each in node.args]
        call = Call(
            self._scope,
            _shown(ast.unparse(node), MOST_SOURCE),
            arguments,
            lambda terms: self._common(node, terms),
            lambda term, kind: self._as(node, term, kind).code,
        )
        try:
            made = function.make(call)
        except Misused as misused:
            raise self._refuse(node, misused.what, misused.remedy) from misused
        if made is None:
            kinds = ", ".join(str(each.kind) for each in arguments)
            raise self._refuse(node, f"{name}({kinds})", f"{name} takes {function.takes}")
        return made

    def _check_arguments(self, node: ast.Call, name: str, function: Function) -> None:
        if node.keywords or any(isinstance(each, ast.Starred) for each in node.args):
            remedy = "write the arguments one after another"
            raise self._refuse(node, "keyword and starred arguments", remedy)
        least, most = function.least, function.most
        if not least <= len(node.args) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            what = f"{name}() has {len(node.args)} arguments"
            raise self._refuse(node, what, f"it takes {wanted}")

    _NODES: Final[dict[type[ast.AST], Callable[[_Compiler, Any], Term]]] = {
        ast.Name: _name,
        ast.Attribute: _attribute,
        ast.Constant: _constant,
        ast.BoolOp: _bool_op,
        ast.IfExp: _if,
        ast.Compare: _compare,
        ast.BinOp: _arithmetic,
        ast.UnaryOp: _unary,
        ast.Call: _call,
    }


def _context_of(path: str, fields: list[str]) -> str | None:
    """The name of a value that stands beside the record; None for a path into the record.

    A field hides what has its name: `context.partition.x` is the value then.
    """
    first, _, rest = path.partition(".")
    if first in fields:
        return None
    if first == "context" and rest.partition(".")[0] in CONTEXTS:
        return rest
    return path if first in CONTEXTS else None


def _digits_after_second(text: str) -> int:
    """How many digits the text of a time has after its second, without zeros at their end."""
    found = _FRACTION.search(text)
    return len(found[1].rstrip("0")) if found else 0


def _unfit(value: Any) -> tuple[str, str] | None:
    """Why a constant cannot be used, and the remedy."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "a whole number beyond 64 bits", "use a smaller one"
    if isinstance(value, float) and abs(value) > DOUBLE_MAX:
        return "a number beyond 64 bits", "use a smaller one"
    if isinstance(value, str) and any("\ud800" <= each <= "\udfff" for each in value):
        return "text with a lone surrogate", "write the character itself"
    return None


def _alike(a: Kind, b: Kind) -> bool:
    """Whether values of two kinds can be compared as they are."""
    numbers = {a, b} == {INT, FLOAT} or {a.name, b.name} == {"int", "decimal"}
    return a == b or NULL in (a, b) or numbers


def _named(term: Term, name: str) -> Term:
    """A term whose value a local already has."""
    return replace(term, code=name, atom=True)


def _after(first: str, term: Term) -> Term:
    """A term that is evaluated after the source `first`, which names what it uses several times."""
    truth = f"({first}, {term.truth})[1]" if term.truth else ""
    return replace(term, code=f"({first}, {term.code})[1]", truth=truth)


def _kinds_of(terms: list[Term]) -> set[Kind]:
    """The kinds of terms, without null, and without those of constant texts beside times."""
    kinds = {term.kind for term in terms if term.kind != NULL}
    timed = any(kind.name in _TIMES for kind in kinds)
    if timed and all(term.is_constant for term in terms if term.kind == STR):
        kinds -= {STR}
    return kinds


def _may_be_time(term: Term, kind: Kind) -> bool:
    """Whether a term is a literal text that stands for a time of this kind."""
    return kind.name in _TIMES and term.kind == STR and term.is_constant
