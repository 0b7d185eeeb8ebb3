"""The page that others are compared to: Streamlit with a slider and one small chart."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

st.title("One chart")
epoch = st.slider("Epoch", 0, 49, 49)
across = np.linspace(0, 1, 20)
with st.container(key="chart-small"):
    st.plotly_chart(go.Figure(go.Scatter(x=across, y=across**2 + epoch)), key="small")
