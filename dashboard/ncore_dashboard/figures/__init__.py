"""Pure functions from tables to Plotly figures: for the app, for reports and for notebooks."""

from ncore_dashboard.figures.candidate_styles import Style, style_for, styles_of

__all__ = ["Style", "style_for", "styles_of"]
