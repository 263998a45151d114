"""A report in headless Chromium: what it drew, what went wrong in it, and what it looks like."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
ABSENT = "Chromium is not installed (Debian's package is called chromium)"
WIDTH = 1200
TALLEST = 16_000
SECONDS = 90
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=20000",
)

# Runs before everything else in the page: what fails is written where the dumped document shows it.
WITNESS = """<script>
const note = text => document.documentElement.setAttribute("data-trouble", (document.documentElement.dataset.trouble || "") + text + "; ");
addEventListener("error", event => note(event.message || "an element could not be loaded"), true);
addEventListener("unhandledrejection", event => note(String(event.reason)));
addEventListener("securitypolicyviolation", event => note("asked for " + event.blockedURI + " against " + event.violatedDirective));
addEventListener("load", () => setTimeout(() => {
  const drawn = [...document.querySelectorAll(".js-plotly-plot")].map(plot => {
    const marks = plot.querySelectorAll("svg.main-svg .trace, svg.main-svg .hm, svg.main-svg .sankey-link, svg.main-svg image").length;
    const box = plot.getBoundingClientRect();
    return [plot.id, marks, Math.round(box.width), Math.round(box.height)].join(" ");
  });
  document.documentElement.dataset.drawn = drawn.join(", ");
  document.documentElement.dataset.height = document.documentElement.scrollHeight;
  document.documentElement.dataset.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
}, 1500));
</script>"""


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What Chromium made of a page: marks by figure, its troubles, and its size in pixels."""

    marks: dict[str, int]
    widths: dict[str, int]
    trouble: str
    height: int
    overflow: int
    document: str


def render(page: str, picture: Path | None = None, width: int = WIDTH) -> Rendering:
    """Load a page in a browser that can reach nothing, and take its picture where one is asked for."""
    with TemporaryDirectory() as folder:
        copy = Path(folder, "page.html")
        copy.write_text(page.replace("<head>", f"<head>{WITNESS}", 1), encoding="utf-8")
        document = _run(Path(folder), copy, "--dump-dom", f"--window-size={width},1000")
        found = _rendering(document)
        if picture is not None:
            picture.parent.mkdir(parents=True, exist_ok=True)
            size = f"--window-size={width},{min(found.height, TALLEST)}"
            _run(Path(folder), copy, f"--screenshot={picture.absolute()}", size)
    return found


def _run(folder: Path, page: Path, *options: str) -> str:
    with TemporaryDirectory(dir=folder) as profile:
        command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={profile}", *options, page.as_uri()]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"Chromium ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout.decode("utf-8")


def _rendering(document: str) -> Rendering:
    drawn = [entry.split() for entry in _noted(document, "drawn").split(", ") if entry]
    return Rendering(
        marks={name: int(marks) for name, marks, _, _ in drawn},
        widths={name: int(width) for name, _, width, _ in drawn},
        trouble=_noted(document, "trouble"),
        height=int(_noted(document, "height") or 0),
        overflow=int(_noted(document, "overflow") or 0),
        document=document,
    )


def _noted(document: str, name: str) -> str:
    found = re.search(rf'<html[^>]*\sdata-{name}="([^"]*)"', document)
    return found[1] if found else ""
