"""The documentation: every public name has its page, and every page of the site works in a browser, wide and narrow.

`make docs` builds the site and runs this. Where it was not built, the tests that need it are skipped.
"""

import functools
import http.server
import importlib
import re
import shutil
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest

import gan_sampler

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "docs" / "html"
PAGES = sorted(str(page.relative_to(SITE)) for page in SITE.rglob("*.html") if "_static" not in page.parts)
WIDE, PHONE = (1280, 800), (390, 844)
CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")

built = pytest.mark.skipif(not PAGES, reason="the site is not built: run `make docs`")
in_browser = pytest.mark.skipif(
    CHROMIUM is None or CHROMEDRIVER is None,
    reason="chromium and chromedriver are not on the PATH: apt install chromium chromium-driver",
)

PACKAGES = ("", ".samplers", ".networks", ".quality", ".datasets", ".evaluation", ".displays", ".data")
# Of training, the package's own machinery, only what users pass to samplers or get from them.
PUBLIC_OF_TRAINING = {
    *("CallbackError", "Loss", "LOSSES", "TrainingInterrupted", "TrainingProgress"),
    *("augment_mildly", "brighten", "stretch_contrast", "translate"),
}


def _documented():
    """Return the full names that api.rst has an entry for."""
    names, module = set(), ""
    for line in (ROOT / "docs" / "api.rst").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\.\. (currentmodule|data):: (\S+)", line):
            module = found[2] if found[1] == "currentmodule" else module
            names.add(found[2])
        elif found := re.match(r" {3}(?:~)?([A-Za-z_][\w.]*)$", line):
            names.add(f"{module}.{found[1]}")
    return names


def _public():
    """Yield the full name of everything in an ``__all__`` that users are told of, and the shorter names it has."""
    for package in PACKAGES:
        module = importlib.import_module(f"gan_sampler{package}")
        for name in module.__all__:
            is_module = isinstance(getattr(module, name), type(module))
            if name != "__version__" and not is_module:
                yield f"{module.__name__}.{name}"
    yield from (f"gan_sampler.training.{name}" for name in PUBLIC_OF_TRAINING)


def test_every_public_name_is_in_the_api_page():
    """A name without a page is one that users do not find."""
    documented = _documented()
    at_the_top = {name for name in gan_sampler.__all__ if f"gan_sampler.{name}" in documented}
    lacking = {name for name in _public() if name not in documented and name.rpartition(".")[2] not in at_the_top}
    assert not lacking, f"docs/api.rst has no entry for {sorted(lacking)}"


def test_the_api_page_names_nothing_that_is_not_there():
    """An entry of a name that was taken away is a page without content."""
    for name in _documented() - {"gan_sampler"}:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), f"docs/api.rst names {name}"


class _Page(HTMLParser):
    """What a page links to and what can be linked to in it."""

    def __init__(self, file):
        super().__init__()
        self.links, self.anchors = [], {""}
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors.update(attributes[key] for key in ("id", "name") if attributes.get(key))
        self.links += [attributes[key] for key in ("href", "src") if attributes.get(key)]


@functools.cache
def _read(page):
    return _Page(SITE / page)


@built
def test_links_within_the_site_lead_somewhere():
    """Sphinx checks what authors write; the theme, the gallery and raw HTML write links, too."""
    broken = []
    for page in PAGES:
        for link in _read(page).links:
            target, anchor = map(unquote, urldefrag(urljoin(page, link)))
            if re.match(r"[a-z]+:|//", link):  # another host
                continue
            file = SITE / target.partition("?")[0]
            if not file.is_file() or (file.suffix == ".html" and anchor not in _read(target).anchors):
                broken.append((page, link))
    assert not broken


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing of each request."""


@pytest.fixture(scope="module")
def address():
    """Serve the site as a web server would, so that its search and scripts work as they will there."""
    handler = functools.partial(_Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()


def _resize(browser, size):
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


# A phone's browser makes the window as wide as what is in it, so `innerWidth` is no measure; the screen is.
# Pictures that load late are asked for, so that a broken one is found.
FAULTS = """
const done = arguments[arguments.length - 1];
for (const image of document.images) image.loading = 'eager';
const width = arguments[0];
Promise.all([...document.images].map(image => image.decode().then(() => null, () => image.src))).then(broken => {
    // Code and tables scroll by themselves. The theme lets the whole article scroll, too, which nobody notices.
    const scrolls = element => element && !element.matches('.bd-article-container') && (
        ['auto', 'scroll'].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
    const wide = [...document.querySelectorAll('main *')].filter(element => {
        const box = element.getBoundingClientRect();
        return box.height > 0 && box.right > width + 1 && !scrolls(element.parentElement) && !scrolls(element);
    }).map(element => element.tagName + '.' + element.className);
    done({
        broken: broken.filter(Boolean),
        wide: document.documentElement.scrollWidth > width ? ['the page', ...wide] : wide,
    });
});
"""


@built
@in_browser
@pytest.mark.parametrize("page", PAGES)
def test_page_works_wide_and_on_a_phone(browser, address, page):
    """No error in the console, no picture missing, nothing for which the page must be scrolled sideways."""
    _resize(browser, WIDE)
    browser.get(address + page)
    wide = browser.execute_async_script(FAULTS, WIDE[0])
    assert not wide["broken"]
    assert not wide["wide"]
    _resize(browser, PHONE)
    assert not browser.execute_async_script(FAULTS, PHONE[0])["wide"]
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]
    assert not errors


@built
@in_browser
def test_search_finds_a_sampler(browser, address):
    """Who types a word into the search field is shown pages."""
    _resize(browser, WIDE)
    browser.get(f"{address}search.html?q=DCGANOverSampler")
    script = "return document.querySelectorAll('#search-results li').length"
    for _ in range(100):
        if browser.execute_script(script):
            break
        threading.Event().wait(0.05)
    assert browser.execute_script(script) > 0


@built
@in_browser
def test_a_page_asks_nothing_of_other_hosts(browser, address):
    """The site works on a closed network; scripts, styles, fonts and pictures are its own."""
    for page in ("index.html", "api.html"):
        browser.get(address + page)
        asked = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
        assert all(name.startswith((address, "data:")) for name in asked)
