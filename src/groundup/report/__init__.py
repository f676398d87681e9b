"""Reports: what a run directory holds, as one summary for machines and one page to read."""
