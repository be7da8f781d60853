"""The benchmark's parts: servers to measure, the load generator, the works, and the table."""
