"""The use cases, and the ports that adapters implement. Imports the domain only."""
