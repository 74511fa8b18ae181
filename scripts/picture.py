"""Take a picture of a comment as GitHub would show it: `picture.py COMMENT.md OUT.png`.

Needs Chromium and, for the style, the charts and the emoji, the npm packages github-markdown-css,
mermaid and twemoji-colr-font in NODE_MODULES (a folder). It is used to make the pictures in
docs/images and to look at golden comments; nothing at run time depends on it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt

PAGE = """<!doctype html><meta charset="utf-8">
<style>{style}
@font-face {{ font-family: "Segoe UI Emoji"; src: url("{emoji}") format("woff2");
  unicode-range: U+2600-27BF, U+2B00-2BFF, U+1F000-1FAFF; }}
.markdown-body {{ font-family: "Segoe UI Emoji", Helvetica, Arial, sans-serif; }}
body {{ margin: 24px; width: {width}px; background: {background}; }}
.markdown-body {{ padding: 16px 20px; border: 1px solid #d0d7de80; border-radius: 6px; }}</style>
<article class="markdown-body">{body}</article>
<script src="{mermaid}"></script>
<script>
for (const code of document.querySelectorAll("code.language-mermaid")) {{
  const box = document.createElement("div");
  box.className = "mermaid"; box.textContent = code.textContent;
  code.parentElement.replaceWith(box);
}}
mermaid.initialize({{ startOnLoad: true, theme: "{theme}" }});
</script>
"""
BACKGROUND = {"light": "#ffffff", "dark": "#0d1117"}


def render_page(markdown: str, *, modules: Path, dark: bool, unfold: bool, width: int) -> str:
    """Return a page that shows ``markdown`` with GitHub's style; ``unfold`` opens <details>."""
    look = "dark" if dark else "light"
    body = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown)
    if unfold:
        body = body.replace("<details>", "<details open>")
    return PAGE.format(
        style=(modules / "github-markdown-css" / f"github-markdown-{look}.css").read_text(),
        width=width,
        background=BACKGROUND[look],
        body=body,
        emoji=(modules / "twemoji-colr-font" / "twemoji.woff2").resolve().as_uri(),
        mermaid=(modules / "mermaid/dist/mermaid.min.js").resolve().as_uri(),
        theme="dark" if dark else "default",
    )


def take_picture(page: Path, picture: Path, *, width: int, height: int) -> None:
    """Let headless Chromium draw ``page`` into the PNG file ``picture``."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--allow-file-access-from-files",
                "--virtual-time-budget=5000",
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                f"--screenshot={picture.resolve()}",
                page.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
        )


def main() -> None:
    """Read the arguments and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="a Markdown file, or an HTML page")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--node-modules", type=Path, default=Path("node_modules"))
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--unfold", action="store_true", help="open every folded part")
    parser.add_argument("--width", type=int, default=880, help="of the page, in pixels")
    parser.add_argument("--height", type=int, default=900, help="of the picture, in pixels")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        page = args.source
        if page.suffix != ".html":
            page = Path(scratch) / "page.html"
            page.write_text(
                render_page(
                    args.source.read_text(),
                    modules=args.node_modules,
                    dark=args.dark,
                    unfold=args.unfold,
                    width=args.width - 48,  # the margins of the body
                ),
                encoding="utf-8",
            )
        take_picture(page, args.picture, width=args.width, height=args.height)


if __name__ == "__main__":
    main()
