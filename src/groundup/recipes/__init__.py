"""Named recipes: Python functions that return frozen configs."""
