"""The image that a cluster runs: which one git pins, and whether an OCI layout is that one."""
