"""What the benchmarks, the durability test and the cluster test share: servers and engines that are started and ended
privately, and clients that remember what they were told."""
