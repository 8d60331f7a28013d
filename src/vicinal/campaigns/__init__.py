"""Papers' tables as campaigns: every row trained and attacked over several seeds, side by side.

    tables      which tables there are, and a table as cells
    cells       the work: train one net, measure one net; finished work is kept
    plan        what is left to do; schedule, workers: who does it when
    reproduce   all of it

>>> names()["alps/table-2"]
'clean error on CIFAR-10'
"""

from vicinal.campaigns.display import Display, Lines
from vicinal.campaigns.progress import Event
from vicinal.campaigns.reproduce import TableResult, reproduce
from vicinal.campaigns.tables import Cell, cells_of, names

__all__ = ["Cell", "Display", "Event", "Lines", "TableResult", "cells_of", "names", "reproduce"]
