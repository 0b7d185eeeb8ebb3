"""What pages are made of: heads, charts, messages, the sidebar, and the choices that several pages share."""
