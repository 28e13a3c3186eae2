if __name__ != "peripatos.envs":
    raise ImportError("import this package as peripatos.envs, not as envs: its folder name is too common to stand alone")
