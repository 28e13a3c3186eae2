if __name__ != "peripatos.agents":
    raise ImportError("import this package as peripatos.agents, not as agents: alone, its name is too common")
