"""A build on a Spark cluster: what is copied there, what is run there, and in which words."""
