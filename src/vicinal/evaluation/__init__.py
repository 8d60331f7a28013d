"""How far to trust a classifier: accuracy on clean and on attacked images, and the worst case.

>>> import torch
>>> from vicinal.attacks import FGSM, PGD
>>> _ = torch.manual_seed(0)
>>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
>>> x, y = torch.rand(8, 1, 4, 4), torch.tensor([0, 1] * 4)
>>> attacks = {"fgsm": FGSM(eps=0.1), "pgd": PGD(eps=0.1, step_size=0.025, steps=10)}
>>> results = evaluate(model, (x, y), attacks=attacks)
>>> list(results)
['clean', 'fgsm', 'pgd']
>>> results["worst case"] == min(results["fgsm"], results["pgd"])
True
"""

from vicinal.evaluation.evaluate import evaluate
from vicinal.evaluation.merging import merged
from vicinal.evaluation.results import Results

__all__ = ["Results", "evaluate", "merged"]
