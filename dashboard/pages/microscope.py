"""Divergence microscope."""

from __future__ import annotations

import streamlit as st

from dashboard.loading import load_results

results = load_results()
st.title("Divergence microscope")
