"""What a session remembers, in its memory and in the URL."""
