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

from vicinal.evaluation.calibrate import Calibration, calibrate
from vicinal.evaluation.check import Check
from vicinal.evaluation.consistency import Consistency, consistency
from vicinal.evaluation.corrupted import corrupted, on_files
from vicinal.evaluation.corruption_results import CorruptionResults
from vicinal.evaluation.costs import Pace, pace_of, passes_of
from vicinal.evaluation.curves import Curve, Point, over_eps, over_restarts, over_steps, radii
from vicinal.evaluation.evaluate import evaluate
from vicinal.evaluation.gradients import InputGradients, input_gradients, instability
from vicinal.evaluation.ledger import Ledger, adversarial
from vicinal.evaluation.merging import merged
from vicinal.evaluation.restricted import restricted
from vicinal.evaluation.results import Results
from vicinal.evaluation.suites import SUITES, Entry, Suite, suite
from vicinal.evaluation.threat import Threat
from vicinal.evaluation.trials import trials, verdict_passes
from vicinal.evaluation.verdict import Verdict, verdict

__all__ = ["Ledger", "Results", "Threat", "adversarial", "evaluate", "merged"]
__all__ += ["Calibration", "calibrate"]
__all__ += ["CorruptionResults", "corrupted", "on_files", "restricted"]
__all__ += ["Check", "Consistency", "Curve", "Entry", "InputGradients", "Pace", "Point", "SUITES"]
__all__ += ["Suite", "Verdict", "consistency", "input_gradients", "instability", "over_eps"]
__all__ += ["over_restarts", "over_steps", "pace_of", "passes_of", "radii", "suite", "trials"]
__all__ += ["verdict", "verdict_passes"]
