"""The pages, a module each, and their larger parts; each only lays out. Importing a page draws it."""
