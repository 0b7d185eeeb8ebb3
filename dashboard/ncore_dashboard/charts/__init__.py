"""How figures get into the browser: smaller, with their zoom kept, moving, and saved as tables."""
