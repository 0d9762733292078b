"""What this process serves on loopback: a kernel's control server, and the proxy between an iframe and a tunnel."""
