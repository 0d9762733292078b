"""ComfyUI's side: workflow templates, HTTP, socket messages, results."""
