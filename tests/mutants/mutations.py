"""The mutants that cosmic-ray makes of a module, without those that no test could tell apart."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from mutants.survivors import Identity
from parso.python.tree import Decorator
from parso.tree import NodeOrLeaf

# two operators want to be told names of variables, which no other knows
_OPERATORS: Final = {
    name.removeprefix("core/"): get_operator(name)()
    for name in operator_names()
    if not (hasattr(get_operator(name), "arguments") and get_operator(name).arguments())
}
# what is identical is equal: none of our classes says otherwise
_WEAKER: Final = {"ReplaceComparisonOperator_Is_Eq", "ReplaceComparisonOperator_IsNot_NotEq"}
# read by the type checker only
_DECORATORS_OF_TYPES: Final = {"overload"}
_BARE: Final = re.compile(r'\s*(\.\.\.|"""(?:(?!""").)*""")(\s*#[^\n]*)?\s*', re.S)
_NAME_OF_A_TYPE: Final = re.compile(r"_?[A-Z]+[a-z]")


@dataclass(frozen=True)
class Mutation:
    identity: Identity
    line_number: int
    position: int  # how cosmic-ray counts the places of an operator in a module


def mutations(module: str, source: str) -> Iterator[Mutation]:
    """In the order of the source."""
    lines = source.splitlines()
    positions: Counter[str] = Counter()
    same: Counter[tuple[str, str]] = Counter()
    for node in ast_nodes(get_ast(source)):
        for operator, implementation in _OPERATORS.items():
            for (line_number, _), _ in implementation.mutation_positions(node):
                position = positions[operator]
                positions[operator] += 1
                if operator in _WEAKER or _is_idle(node):
                    continue
                line = lines[_named_by(node, line_number) - 1].strip()
                identity = Identity(module, operator, line, same[operator, line])
                same[operator, line] += 1
                yield Mutation(identity, line_number, position)


def mutated(source: str, mutation: Mutation) -> str | None:
    """The source with the mutation; nothing if that is no Python, or warned of as it is compiled
    (the tests take warnings for errors).
    """
    operator = _OPERATORS[mutation.identity.operator]
    try:
        changed = mutate_code(source, operator, mutation.position)
    except AttributeError:  # cosmic-ray replaces `except Name` and fails at `except module.Name`
        return None
    assert changed is not None, mutation
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            compile(changed, mutation.identity.module, "exec")
        except (SyntaxError, SyntaxWarning):
            return None
    return str(changed)


def _named_by(node: NodeOrLeaf, line_number: int) -> int:
    """The line that a mutant is known by: what `@dataclass` stands above, as it stands above many."""
    decorated = node.parent
    while decorated is not None and decorated.type != "decorated":
        decorated = decorated.parent
    above = decorated is not None and line_number < decorated.children[-1].start_pos[0]
    return decorated.children[-1].start_pos[0] if above else line_number


def _is_idle(node: NodeOrLeaf) -> bool:
    """Whether nothing that runs depends on a node: an annotation (`from __future__ import
    annotations` leaves them text), the name of a type, what a Protocol declares, and the bare `*`
    among parameters, which is no operator.
    """
    if node.parent is not None and node.parent.type == "parameters":
        return True
    if isinstance(node, Decorator) and _decorates(node) in _DECORATORS_OF_TYPES:
        return True
    child, parent = node, node.parent
    while parent is not None:
        if _is_annotation(child, parent) or _is_alias(parent) or _declares(parent):
            return True
        child, parent = parent, parent.parent
    return False


def _declares(parent: NodeOrLeaf) -> bool:
    """A function whose body is a docstring, or `...`."""
    return parent.type == "funcdef" and _BARE.fullmatch(parent.children[-1].get_code()) is not None


def _decorates(decorator: Decorator) -> str:
    return str(decorator.children[1].get_code()).partition("(")[0]


def _is_annotation(child: NodeOrLeaf, parent: NodeOrLeaf) -> bool:
    place = {"annassign": 1, "tfpdef": 2}.get(parent.type)  # `: type = value`, `name: type`
    if place is not None:
        return parent.children[place] is child
    return parent.type == "funcdef" and parent.annotation is child


def _is_alias(statement: NodeOrLeaf) -> bool:
    """`Name = Some | None` at the top of a module."""
    if statement.type != "expr_stmt" or statement.parent.parent.type != "file_input":
        return False
    name = statement.children[0].get_code(include_prefix=False)
    return re.match(_NAME_OF_A_TYPE, name) is not None
