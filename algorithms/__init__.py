if __name__ != "peripatos.algorithms":
    raise ImportError(
        "import this package as peripatos.algorithms, not as algorithms: its folder name is too common to stand alone"
    )
