"""The trend of a segmentation: one page over all its nights, made from the warehouse alone.

What is read is `reading`, its values are `findings`; `story`, `tables` and `figures` tell it, `page` lays it out.
"""

from gmmdask.report.trend.page import render_trend

__all__ = ["render_trend"]
