"""Attacks of other packages, and ours, each in a process of its own and on the same images.

Every tool is one file with one function `build(net, budget, seed)`, which gives the attack as a
call on a batch, or None where the tool has no such attack. `worker.py` is the process: it times the
call, counts the passes, and judges what comes back. `process.py` starts it and talks to it.
`packages.py` says where the packages come from, `budgets.py` what is asked of all of them.
"""
