"""What tests stand on: a PostgreSQL cluster, running services, their tables, and drivers."""
