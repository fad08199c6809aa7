"""Tools for agents, by the Model Context Protocol (MCP): the same over standard input and output as over HTTP."""
