"""The images of the lab: their catalogue, their build, and the registry they are pulled from."""
