"""Files in and out: imports of many forms, exports, and the journals of other programs."""
