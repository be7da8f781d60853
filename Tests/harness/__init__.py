"""Shared by the benchmarks, the durability test and the cluster test: servers and engines that are started and ended
privately, and clients that remember what they were told."""
