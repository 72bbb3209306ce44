"""report.html in headless Chromium: it works without a network, on a phone, in the dark, by mouse and by keyboard."""

import shutil

import numpy as np
import pytest
from make_records import make_manifest, make_records

from gan_sampler.evaluation._report import write_html

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or CHROMEDRIVER is None,
    reason="chromium and chromedriver are not on the PATH: apt install chromium chromium-driver",
)
WIDE, PHONE = (1280, 800), (390, 844)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A small report that has every kind of part: tables, figures, an image, folded parts."""
    records = make_records(treatments=("none", "class_weight", "dcgan"), rows=[("cnn", None)], seeds=(0, 1))
    images = np.random.RandomState(0).randint(0, 256, (4, 16, 16)).astype(np.uint8)
    pictures = {
        "classes": np.array(["normal", "pneumonia"]),
        "treatments": np.array(["dcgan"]),
        "space": np.array("features"),
        "real_distance": np.ones(2),
        "labels_0": np.zeros(4, dtype=int),
        "distance_0": np.ones(4),
        "images_0": images,
    }
    file = tmp_path_factory.mktemp("browser") / "report.html"
    write_html(file, records, make_manifest(records, name="a-name-without-a-space-" * 5), pictures)
    return file.as_uri()


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--window-size=1400,1000",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def visit(browser, address):
    def visit(size=WIDE, scheme="light", media=""):
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        browser.get(address)
        return browser

    return visit


def first_column(browser):
    return browser.execute_script(
        "return [...document.querySelector('table').tBodies[0].rows].map(r => r.cells[0].innerText)"
    )


def heads(browser):
    return browser.find_elements("css selector", "table:first-of-type thead button")


def test_it_opens_without_an_error_and_asks_nothing_of_the_network(visit, address):
    browser = visit()
    assert browser.get_log("browser") == []
    asked = [entry["message"] for entry in browser.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert asked
    assert all(address in message or '"url":"data:' in message for message in asked)
    assert "http" not in browser.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name).join()"
    )


def test_images_load(visit):
    widths = visit().execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert widths
    assert min(widths) > 0


def test_a_table_sorts_on_click_and_says_so(visit):
    browser = visit()
    before = first_column(browser)
    assert before == ["Nothing", "Class weights", "DCGAN"]
    head = heads(browser)[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", head)
    head.click()
    assert first_column(browser) == ["Class weights", "DCGAN", "Nothing"]
    cell = head.find_element("xpath", "..")
    assert cell.get_attribute("aria-sort") == "ascending"
    head.click()
    assert first_column(browser) == ["Nothing", "DCGAN", "Class weights"]
    assert cell.get_attribute("aria-sort") == "descending"


def test_numbers_sort_as_numbers_the_highest_first_by_keyboard(visit):
    browser = visit()
    heads(browser)[1].send_keys("\n")
    values = browser.execute_script(
        "return [...document.querySelector('table').tBodies[0].rows].map(row => Number(row.cells[1].dataset.sort))"
    )
    assert values == sorted(values, reverse=True)
    assert values[0] != values[-1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_does_not_scroll_sideways_also_with_all_parts_open(visit, scheme):
    browser = visit(PHONE, scheme)
    browser.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert browser.execute_script("return document.body.scrollWidth") <= 390


def test_tables_scroll_in_their_own_box(visit):
    boxes = visit(PHONE).execute_script(
        "return [...document.querySelectorAll('.scroll')].map(box => [box.scrollWidth, box.clientWidth, box.tabIndex])"
    )
    assert any(content > box for content, box, _ in boxes)
    assert all(index == 0 for *_, index in boxes)


def contrast(browser, selector):
    """Return the contrast ratio of a part's colour on the page, as the WCAG define it."""
    colours = browser.execute_script(
        "const part = getComputedStyle(document.querySelector(arguments[0]));"
        "return [part.fill && part.fill !== 'none' && arguments[0].includes('svg') ? part.fill : part.color,"
        "        getComputedStyle(document.body).backgroundColor]",
        selector,
    )
    luminances = []
    for colour in colours:
        channels = np.array([float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        luminances.append(linear @ [0.2126, 0.7152, 0.0722])
    low, high = sorted(luminances)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("selector", ["h1", "figcaption", ".quiet", "nav a", "svg text"])
def test_words_stand_out_from_the_page_in_light_and_dark(visit, scheme, selector):
    """Letters of figures, too: they are drawn dark, and the page makes them light."""
    assert contrast(visit(scheme=scheme), selector) >= 4.5


def test_print_is_dark_on_white_whatever_the_screen(visit):
    browser = visit(scheme="dark", media="print")
    colours = browser.execute_script("const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]")
    assert colours == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
    assert not browser.find_element("css selector", "nav").is_displayed()


def test_printing_opens_what_is_folded_and_closes_it_again(visit):
    browser = visit()
    count = "return document.querySelectorAll('details[open]').length"
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script(count) == len(browser.find_elements("tag name", "details"))
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script(count) == 0
