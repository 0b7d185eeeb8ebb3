"""Where candidates and datasets come from: one module a source, each importing its library only when asked."""
