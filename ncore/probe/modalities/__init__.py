"""What differs between kinds of data, a module each: pictures, texts, rows of tables, and vectors from elsewhere."""
