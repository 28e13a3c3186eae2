if __name__ != "peripatos.scenarios":
    raise ImportError("import this package as peripatos.scenarios, not as scenarios: its folder name is too common to stand alone")
