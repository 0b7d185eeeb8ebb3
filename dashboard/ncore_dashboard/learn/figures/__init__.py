"""Pictures of lessons and of the playground: pure functions to Plotly figures, as in ``ncore_dashboard.figures``."""
