#!/usr/bin/env python3
"""Takes the first ```cpp block of a page. usage: readme.py README.md out.cpp"""
import re
import sys

with open(sys.argv[1], encoding="utf-8") as page:
    block = re.search(r"```cpp\n(.*?)```", page.read(), re.S).group(1)
with open(sys.argv[2], "w", encoding="utf-8") as out:
    out.write(block)
