"""The report of a run: one HTML file that an analyst opens, forwards and prints, made from what was published.

Numbers come from the warehouse, the picture of the mixture from the model that is passed in. Nothing is fitted here, and
nothing is written but the file.
"""

from gmmdask.report.layout import write_page
from gmmdask.report.page import render_report
from gmmdask.report.reading import latest_run

__all__ = ["latest_run", "render_report", "write_page"]
