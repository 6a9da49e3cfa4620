"""Small real guests under a private libvirtd: the demo, the live tests, the benchmarks."""
