"""Recipes: papers' settings as data, resolved into objects, trained into run folders.

files           which recipes there are; base <- method <- scale <- overrides
schema          every field of a recipe, checked
resolve         where words become objects; attack_words, where they become attacks
run             train, resume, load
paper_tables    the papers' numbers

>>> chosen = recipe("alps/cifar10-preactresnet18", method="mixup", scale="smoke")
>>> chosen.objective.name, chosen.dataset
('MixUp', 'digits')
"""

from vicinal.recipes.attack_words import parse_attack, spec
from vicinal.recipes.files import SCALES, methods, names, read, recipe, write
from vicinal.recipes.folder import default_folder, recorded_threads
from vicinal.recipes.paper_tables import PaperRow, rows, tables
from vicinal.recipes.resolve import complete
from vicinal.recipes.run import Run, follow, load, resume, stream, train
from vicinal.recipes.schema import Recipe

__all__ = [
    # recipes
    "SCALES",
    "Recipe",
    "complete",
    "methods",
    "names",
    "read",
    "recipe",
    "write",
    # runs
    "Run",
    "default_folder",
    "follow",
    "load",
    "recorded_threads",
    "resume",
    "stream",
    "train",
    # attacks as text
    "parse_attack",
    "spec",
    # papers
    "PaperRow",
    "rows",
    "tables",
]
