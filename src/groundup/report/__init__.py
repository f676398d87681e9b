"""Reports: what a run directory holds, as one summary for machines and one page to read."""

from groundup.report.html import write_report
from groundup.report.summary import summarize

__all__ = ["summarize", "write_report"]
