"""The ball of `vicinal evaluate`: --eps and --norm, and the attacks that leave theirs out."""

from __future__ import annotations

import argparse
import inspect
from typing import TYPE_CHECKING, Any

from vicinal._errors import InputError

if TYPE_CHECKING:
    from vicinal._typing import Attack
    from vicinal.evaluation import Threat
    from vicinal.recipes.calls import Call

__all__ = ["attacks_of", "eps_of", "threat_of"]


def eps_of(args: argparse.Namespace) -> float | None:
    """Read --eps.

    Args:
        args: The parsed arguments.

    Returns:
        The radius; None where the recipe's counts, which is one in linf.

    Raises:
        InputError: If it is no radius, or --norm goes without it.
    """
    from vicinal import _checks
    from vicinal.recipes.numerals import read_number

    if args.eps is None:
        if args.norm != "linf":
            raise InputError(
                f"--norm {args.norm} must come with --eps, such as --eps 0.5: the radius of a "
                "recipe is one in linf."
            )
        return None
    value = read_number(args.eps)
    if isinstance(value, str):
        raise InputError(f"`--eps` must be a number such as 8/255; got {args.eps!r}.")
    _checks.budget("eps", float(value), norm=args.norm, unbounded=False)
    return float(value)


def threat_of(args: argparse.Namespace) -> Threat | None:
    """Read the threat model.

    Args:
        args: The parsed arguments.

    Returns:
        The ball of --eps and --norm; None without --eps.
    """
    from vicinal.evaluation import Threat

    eps = eps_of(args)
    return None if eps is None else Threat(norm=args.norm, eps=eps)


def attacks_of(args: argparse.Namespace, *, device: str) -> dict[str, Attack]:
    """Build the attacks of --attack.

    An attack that leaves its radius out takes that of --eps, or the recipe's, and the norm that
    this radius is one of.

    Args:
        args: The parsed arguments.
        device: Where the source of a transfer shall lie.

    Returns:
        Each attack by its full text.

    Raises:
        InputError: If a text is no attack, or leaves out a radius that the one at hand cannot fill.
    """
    from vicinal.recipes import foreign, judge
    from vicinal.recipes.attack_words import read_attack
    from vicinal.recipes.calls import write_call

    found: dict[str, Attack] = {}
    eps = eps_of(args)
    for text in args.attack:
        given = read_attack(text)
        call = _in_norm(given, args.norm)
        spelled = text if call == given else write_call(call)
        own = eps is not None and _norm_of(call) in {None, args.norm}
        budget = foreign.budget_of(eps) if eps is not None and own else None
        ball: dict[str, Any] = {"budget": budget, "norm": args.norm if own else "linf"}
        if args.model is None:
            found |= judge.attacks_of(args.run_dir, [spelled], device=device, **ball)
        else:
            found |= foreign.attacks_of([spelled], device=device, **ball)
    return found


def _in_norm(call: Call, norm: str) -> Call:
    """Give an attack that leaves radius and norm out the norm that the radius at hand is one of."""
    from vicinal.recipes.calls import Call, write_call

    inner = _inner(call)
    if inner is not None:
        return Call(name=call.name, arguments={**call.arguments, "attack": _in_norm(inner, norm)})
    own = _norm_of(call)
    if own is None or "eps" in call.arguments:
        return call
    if own == norm:
        return call
    if "norm" in call.arguments or "norm" not in _parameters(call):
        raise InputError(
            f"{write_call(call)!r} must be given its eps: it searches in {own}, and the radius at "
            f"hand is one in {norm}. Did you mean --norm {own} with --eps?"
        )
    return Call(name=call.name, arguments={**call.arguments, "norm": norm})


def _norm_of(call: Call) -> str | None:
    """Tell in which norm an attack's radius is; None where it has none, or there is no such."""
    inner, known = _inner(call), _parameters(call)
    if inner is not None:
        return _norm_of(inner)
    return str(call.arguments.get("norm", "linf")) if "eps" in known else None


def _inner(call: Call) -> Call | None:
    from vicinal.recipes.calls import Call

    inner = call.arguments.get("attack")
    if isinstance(inner, str):
        return Call(name=inner)
    return inner if isinstance(inner, Call) else None


def _parameters(call: Call) -> list[str]:
    from vicinal.attacks import ATTACKS

    known = ATTACKS.get(call.name)
    return [] if known is None else list(inspect.signature(known).parameters)
