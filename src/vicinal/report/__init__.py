"""Tables and pages from the records of a campaign; this room imports no torch.

`tables` lays the cells out for the terminal and for Markdown, `html` makes one page that needs
nothing else. What is measured, and how, is the business of `campaigns` and `evaluation`.
"""

from vicinal.report.beside import beside
from vicinal.report.compared import comparison_markdown, comparison_tables
from vicinal.report.comparison import comparison
from vicinal.report.corruptions import corruptions
from vicinal.report.heat_map import heat_map, write_heat_map
from vicinal.report.html import page
from vicinal.report.many import MANY, many_tables
from vicinal.report.per_class import per_class
from vicinal.report.tables import Section, markdown, rich_table, rich_tables, sections

__all__ = ["Section", "comparison", "markdown", "page", "per_class", "rich_table", "rich_tables"]
__all__ += ["sections"]
__all__ += ["beside", "comparison_markdown", "comparison_tables"]
__all__ += ["MANY", "many_tables"]
__all__ += ["corruptions", "heat_map", "write_heat_map"]
