"""The README's picture: the grid of the demonstration, as `make nightly` left it, drawn by headless Chromium.

python -m infra.picture docs/images/grid.png
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from gmmdask.figures import grid_figure
from gmmdask.report.reading import latest_run, read_findings
from gmmdask.settings import load_settings
from gmmdask.warehouse import open_warehouse

SETTINGS = Path(__file__).parent / "demo.toml"
SIZE = (1000, 460)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


def grid_page() -> str:
    """Return the figure of the last night's grid as a page of its own."""
    settings = load_settings(SETTINGS)
    warehouse = open_warehouse(settings.warehouse.uri)
    findings = read_findings(warehouse, latest_run(warehouse, settings.segmentation.name))
    if findings.best is None:
        raise SystemExit("the last night kept its model and has no grid: make clean nightly")
    figure = grid_figure(findings.candidates, findings.best)
    return str(figure.to_html(config={"displayModeBar": False}, default_width=f"{SIZE[0]}px"))


def photograph(page: str, target: Path) -> None:
    """Draw a page and write it as a PNG."""
    with TemporaryDirectory() as folder:
        source = Path(folder) / "page.html"
        source.write_text(f"<style>body{{margin:0}}</style>{page}", encoding="utf-8")
        window = f"--window-size={SIZE[0]},{SIZE[1]}"
        options = (*OPTIONS, "--hide-scrollbars", "--virtual-time-budget=8000", f"--user-data-dir={folder}/profile")
        chromium = shutil.which("chromium") or "chromium"
        command = [chromium, *options, window, f"--screenshot={target.resolve()}", source.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=90)


if __name__ == "__main__":
    picture = Path(sys.argv[1])
    picture.parent.mkdir(parents=True, exist_ok=True)
    photograph(grid_page(), picture)
