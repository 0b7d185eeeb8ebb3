"""Who may see a dashboard that others can reach."""
