"""Apps that do not know the library."""

collect_ignore = ["apps"]  # run by servers, not by pytest
