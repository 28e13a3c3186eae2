if __name__ != "peripatos.scenarios":
    raise ImportError("import this package as peripatos.scenarios, not as scenarios: alone, its name is too common")
