"""From a question as it is asked to the cells that answer it, and from images to the answer."""
