"""Arrays in, arrays out: the mathematics of the models, free of parameters and of meshes."""
