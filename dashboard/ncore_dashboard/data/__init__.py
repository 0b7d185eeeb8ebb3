"""What pages show, read from stores and computed as tables. Nothing here needs Streamlit."""
