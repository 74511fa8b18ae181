"""Tables of data: read from CSV, compared row by row and column by column, with numpy alone."""
