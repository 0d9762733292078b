"""Which tests are looked at: those with a real ComfyUI only where there is one."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("AUTOPOD_COMFYUI_DIR") else ["test_real_comfyui.py"]
