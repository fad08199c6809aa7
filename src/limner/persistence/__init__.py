"""Where the facts lie: SQLite or PostgreSQL."""
