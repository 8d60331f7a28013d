"""What the library costs, measured against the bare thing on the same machine at the same moment.

    make bench                                   # everything: 20 minutes on four quiet cores
    make bench BENCH='--only steps --threads 2'  # one part: `python -m benchmarks --help`
    make bench BENCH='--quick --out runs/bench'  # a smoke run, which measures nothing

`timing.py` holds the method: pairs, their ratios, the interval, the machine's own noise. Every
other file is one question: `steps.py`, `engine_epoch.py`, `attack_loop.py`, `augmentation.py`,
`formats.py`, `ceiling.py`. `report.py` writes the answers down.
"""
