"""How a recipe's weights are judged after every epoch: on training images that were held out.

Never on the test images: the best of many epochs on them would say more than is true of others.
"""

from __future__ import annotations

from vicinal import engine
from vicinal._checks import InputError
from vicinal._typing import Model
from vicinal.recipes import together
from vicinal.recipes.attack_words import parse_attack
from vicinal.recipes.loading import Loader
from vicinal.recipes.schema import Recipe
from vicinal.records import Record

__all__ = ["check_selection", "is_judged", "validator"]


def check_selection(recipe: Recipe) -> None:
    """Refuse to select the best weights where nothing was held out to judge them by.

    Args:
        recipe: The recipe.

    Raises:
        InputError: If it does.
    """
    if recipe.select == "best" and recipe.validation is None:
        raise InputError(
            "`select` can be best only with `validation`, a number of training images to hold out "
            "(the test images never choose); got none. Did you mean validation=1000?"
        )


def is_judged(recipe: Recipe, epoch: int) -> bool:
    """Tell whether an epoch of a run that holds images out is judged on them.

    Args:
        recipe: The recipe.
        epoch: The epoch, from 1.

    Returns:
        True for every `validate_every`-th and the last.
    """
    return epoch % recipe.validate_every == 0 or epoch == recipe.epochs


def validator(recipe: Recipe, batches: Loader) -> engine.Validate:
    """Build the judgement: clean accuracy, and robust accuracy under PGD of the recipe's budget.

    Every `validate_every`-th epoch and the last are judged, with the same random starts. Cost: PGD
    on the held-out images each time.

    Args:
        recipe: The recipe; its `evaluation` is the budget, its seed governs the random starts.
        batches: The held-out images and their classes, read anew for every epoch;
            several processes share them.

    Returns:
        A function of model and epoch; `score` is the robust accuracy. For an epoch that is not
        judged it returns nothing.
    """
    attack = parse_attack("pgd", budget=recipe.evaluation)

    def validate(model: Model, epoch: int) -> Record:
        if not is_judged(recipe, epoch):
            return {}
        keys = (recipe.seed, "validation")
        results = together.evaluate(model, batches, attacks={"pgd": attack}, keys=keys)
        robust = results["pgd"]
        return {
            engine.SCORE: robust,
            "validation_accuracy": results["clean"],
            "validation_robust_accuracy": robust,
        }

    return validate
