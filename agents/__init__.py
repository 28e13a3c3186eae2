if __name__ != "peripatos.agents":
    raise ImportError("import this package as peripatos.agents, not as agents: its folder name is too common to stand alone")
