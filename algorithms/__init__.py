if __name__ != "peripatos.algorithms":
    raise ImportError("import this package as peripatos.algorithms, not as algorithms: alone, its name is too common")
