"""What is measured in other kernels, where time is counted in instructions."""
