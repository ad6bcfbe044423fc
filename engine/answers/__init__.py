"""From a question as it was asked to cells, and from images to the answer as it is read."""
