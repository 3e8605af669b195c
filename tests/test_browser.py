"""The report as a browser shows it: light, dark, narrow and printed."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from sergan import report
from tests.test_report import make_run

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium: nobody has looked at the report in a browser"
)
MEASURE = """<script>
const images = [...document.images];
const wide = document.documentElement.scrollWidth > innerWidth;
document.title = `${images.filter(i => i.naturalWidth).length} of ${images.length} images, wide ${wide}`;
</script></body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return report.write(make_run(tmp_path_factory.mktemp("browser") / "run"))


def chromium(page, *flags, width=1100):
    """What chromium prints with a page in a window as wide as that."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--window-size={width},1400", *flags, f"file://{page}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.parametrize(("scheme", "paper"), [(1, 255), (0, 26)], ids=["light", "dark"])
def test_a_screenshot_has_ink_on_paper_of_the_readers_scheme(page, tmp_path, scheme, paper):
    path = tmp_path / "page.png"
    chromium(page, f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={path}")
    pixels = np.asarray(Image.open(path).convert("L")).astype(int)
    assert pixels[2, 2] == paper
    contrast = np.abs(pixels - paper) > 100
    assert 0.01 < contrast.mean() < 0.3
    assert contrast[700:].any(), "nothing below the fold"


@pytest.mark.parametrize("width", [1100, 500])
def test_every_figure_is_shown_and_no_page_is_wider_than_its_window(page, tmp_path, width):
    measured = tmp_path / "measured.html"
    measured.write_text(page.read_text().replace("</body>", MEASURE))
    title = re.search("<title>(.*?)</title>", chromium(measured, "--dump-dom", width=width))[1]
    count = page.read_text().count("<img ")
    assert count > 5
    assert title == f"{count} of {count} images, wide false"


def test_it_prints(page, tmp_path):
    path = tmp_path / "page.pdf"
    chromium(page, f"--print-to-pdf={path}")
    assert path.read_bytes().startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", path.read_bytes()))
    assert 3 <= pages <= 20
