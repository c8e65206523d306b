"""What this machine has, and how busy it is. psutil and NVML; never torch."""
