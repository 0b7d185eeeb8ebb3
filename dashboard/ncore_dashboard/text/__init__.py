"""Words: explanations of numbers, phrases for sentences, and texts of others shown as they are."""
