"""The page in a real browser: draw, redraw, look, search, train, two languages, no errors, nobody shut out."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("selenium")

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from limner.pictures.png import png_bytes, read_facts

SECONDS = 60
# Watch for unfinished pictures: they stand in a figure, not in a button.
WATCH = """
    window.partial = 0; new MutationObserver(() => {
      partial += document.querySelectorAll("#results figure").length;
    }).observe(document.getElementById("results"), {childList: true});"""
DROP = """
    const box = new DataTransfer();
    const bytes = Uint8Array.from(atob(arguments[1]), (one) => one.charCodeAt(0));
    box.items.add(new File([bytes], "picture.png", {type: "image/png"}));
    const target = document.querySelector(arguments[0]);
    target.dispatchEvent(new DragEvent("drop", {dataTransfer: box, bubbles: true, cancelable: true}));"""


class Page:
    """What a person does on the page."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, room: str = "draw") -> Page:
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/#{room}")
        self.until(lambda: self.driver.execute_script("return document.body.dataset.ready") == "yes")
        self.idle()
        return self

    def until(self, condition: Any) -> Any:
        return WebDriverWait(
            self.driver, SECONDS, poll_frequency=0.05, ignored_exceptions=[StaleElementReferenceException]
        ).until(lambda driver: condition())

    def idle(self) -> None:
        self.until(lambda: self.driver.execute_script("return document.body.dataset.state") == "idle")

    def __getitem__(self, name: str) -> Any:
        return self.driver.find_element(By.ID, name)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def type(self, name: str, text: str) -> None:
        self[name].clear()
        self[name].send_keys(text)

    def click(self, name: str) -> None:
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", self[name])
        self[name].click()

    def draw(self, caption: str, count: int = 6, seed: int = 7) -> None:
        self.type("prompt", caption)
        self.type("count", str(count))
        self.type("seed", str(seed))
        self.click("go")
        self.until(lambda: self.all("#results button"))
        self.idle()
        assert self["error"].text == ""

    def drop(self, selector: str, file: Path) -> None:
        self.driver.execute_script(DROP, selector, base64.b64encode(file.read_bytes()).decode())

    def bytes_of(self, image: Any) -> bytes:
        """The file behind an <img>, as the page holds it."""
        script = """
            const done = arguments[1];
            fetch(arguments[0].src).then((a) => a.blob()).then((blob) => {
              const reader = new FileReader();
              reader.onload = () => done(reader.result);
              reader.readAsDataURL(blob);
            });"""
        return base64.b64decode(self.driver.execute_async_script(script, image).partition(",")[2])

    def pixels_of(self, image: Any) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.bytes_of(image))).convert("RGB"))

    def errors(self) -> list[str]:
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]


@pytest.fixture(scope="module")
def page(open_browser: Any, site: Any) -> Page:
    return Page(open_browser(), site.url)


def test_draws_ranks_and_keeps_the_settings_in_the_file(page, painter):
    page.open()
    page.driver.execute_script(WATCH)
    page.draw("a red cube", count=6, seed=7)
    assert page.driver.execute_script("return partial") > 0
    assert len(page.all("#results button")) == 4
    assert "6 pictures" in page["status"].text
    page.click("more")
    tiles = page.all("#results img")
    drawn = painter.generate("a red cube", count=6, candidates=6, seed=7)
    assert len(tiles) == 6
    for tile, one in zip(tiles, drawn, strict=True):
        assert np.array_equal(page.pixels_of(tile), np.asarray(one.image))
        assert tile.get_attribute("alt").endswith("a red cube")
    assert read_facts(page.bytes_of(tiles[0]))["seed"] == 7
    assert not page.errors()


def test_words_can_be_swapped(page):
    page.driver.execute_script("localStorage.clear()")
    page.open()
    first = page["prompt"].get_property("value")
    words = page.all("#words select")
    Select(words[0]).select_by_index(1)
    second = page["prompt"].get_property("value")
    assert first != second
    assert first.split()[2:] == second.split()[2:]
    Select(page["pattern"]).select_by_index(2)
    assert page["prompt"].get_property("value") not in (first, second)


def test_redraws_a_region_and_leaves_the_rest(page):
    page.open().draw("a blue ball", count=2, seed=3)
    page.all("#results button")[0].click()
    page.until(lambda: page["chosen"].is_displayed())
    before = page.pixels_of(page["chosen-image"])
    page.type("mask-x", "8")
    page.type("mask-w", "8")
    page.type("mask-h", "8")
    page.click("redraw-prompt")
    page.driver.execute_script(WATCH)
    page.all("[data-testid=redraw]")[0].click()
    page.until(lambda: len(page.all("#results button")) == 4)
    page.idle()
    outside = np.ones((16, 16), bool)
    outside[:8, 8:] = False
    after = [page.pixels_of(tile) for tile in page.all("#results img")]
    assert all(np.array_equal(one[outside], before[outside]) for one in after)
    assert not all(np.array_equal(one, before) for one in after)
    assert not page.errors()


def test_marks_with_the_pointer(page):
    from selenium.webdriver import ActionChains

    page.open().draw("a blue ball", count=1, seed=3)
    page.all("#results button")[0].click()
    page.until(lambda: page["chosen"].is_displayed())
    page.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", page["mask"])
    side = page["mask"].size["width"]
    drag = ActionChains(page.driver).move_to_element(page["mask"]).click_and_hold()
    drag.move_by_offset(side // 3, side // 3).release().perform()
    assert int(page["mask-x"].get_property("value")) == 8
    assert 4 <= int(page["mask-w"].get_property("value")) <= 6
    page.click("vary")
    page.until(lambda: len(page.all("#results button")) == 4)
    page.idle()
    assert not page.errors()


def test_settings_come_back_from_a_picture(page, tmp_path, painter):
    (one,) = painter.generate("a green star", count=1, candidates=3, seed=99, temperature=0.5)
    file = tmp_path / "star.png"
    file.write_bytes(png_bytes(one.image, one.facts))
    page.open()
    page["restore"].send_keys(str(file))
    page.until(lambda: page["prompt"].get_property("value") == "a green star")
    values = [page[name].get_property("value") for name in ("seed", "count", "temperature")]
    assert values == ["99", "3", "0.5"]
    silent = tmp_path / "silent.png"
    Image.new("RGB", (4, 4)).save(silent)
    page["restore"].send_keys(str(silent))
    page.until(lambda: "does not say" in page["error"].text)


def test_a_picture_may_be_dropped_anywhere(page, tmp_path, painter, looker):
    """On the drop zone or beside it: the browser must not go to the file."""
    (one,) = painter.generate("a green star", count=1, candidates=2, seed=98)
    file = one.save(tmp_path / "star.png")
    for place in ("#drop-settings", "footer"):
        page.open()
        page.type("prompt", "something else")
        page.drop(place, file)
        page.until(lambda: page["prompt"].get_property("value") == "a green star")
        page.idle()
        assert page["seed"].get_property("value") == "98"
    page.open("look")
    page.type("labels", "a red cube, a cat")
    page.drop("footer", file)
    page.until(lambda: len(page.all("#looked dt")) == 2)
    page.idle()
    assert not page.errors()


def test_the_history_gives_a_picture_and_its_settings_back(page):
    page.open()
    page.driver.execute_script("document.getElementById('forget').click()")
    page.until(lambda: not page.all("#history button"))
    page.draw("a red cube", count=2, seed=41)
    page.draw("a blue ball", count=2, seed=42)
    page.open()  # it outlives the visit
    page.until(lambda: len(page.all("#history button")) == 4)
    assert [image.get_attribute("alt") for image in page.all("#history img")] == ["a blue ball"] * 2 + [
        "a red cube"
    ] * 2
    page.all("#history button")[3].click()
    page.until(lambda: page["chosen"].is_displayed())
    assert "seed 41" in page["chosen-facts"].text
    page.click("reuse")
    page.until(lambda: page["prompt"].get_property("value") == "a red cube")
    assert page["seed"].get_property("value") == "41"
    page.click("forget")
    page.until(lambda: not page.all("#history button"))
    assert not page.errors()


def test_a_picture_can_be_downloaded(page):
    page.open().draw("a red cube", count=1, seed=5)
    page.all("#results button")[0].click()
    page.until(lambda: page["chosen"].is_displayed())
    assert page["download"].get_attribute("download") == "a-red-cube-5-0.png"
    assert read_facts(page.bytes_of(page["chosen-image"]))["caption"] == "a red cube"
    assert page["download"].get_attribute("href") == page["chosen-image"].get_attribute("src")


def test_marks_with_the_brush(page):
    from selenium.webdriver import ActionChains

    page.open().draw("a blue ball", count=1, seed=3)
    page.all("#results button")[0].click()
    page.until(lambda: page["chosen"].is_displayed())
    page.all("[name=tool][value=brush]")[0].click()
    page.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", page["mask"])
    side = page["mask"].size["width"]
    before = page.pixels_of(page["chosen-image"])
    # A stroke through the upper right quarter; three quarters of a cell to each side of it are marked.
    stroke = ActionChains(page.driver).move_to_element_with_offset(page["mask"], int(side * 0.42), int(-side * 0.42))
    stroke.click_and_hold().move_by_offset(int(-side * 0.2), 0).release().perform()
    marked = page.driver.execute_script(
        "const c = arguments[0]; const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return [...Array(c.width * c.height).keys()].map((at) => d[4 * at + 3] > 0);", page["mask"],
    )  # fmt: skip
    wanted = np.array(marked).reshape(16, 16)
    assert 64 <= wanted.sum() < 128
    assert not wanted[8:].any()
    page.all("[data-testid=redraw]")[0].click()
    page.until(lambda: len(page.all("#results button")) == 4)
    page.idle()
    for tile in page.all("#results img"):
        assert np.array_equal(page.pixels_of(tile)[~wanted], before[~wanted])
    assert not page.errors()


def test_stop(page):
    page.open()
    page.type("prompt", "a red cube")
    page.type("count", "64")
    page.driver.execute_script(
        "document.getElementById('go').click(); setTimeout(() => document.getElementById('stop').click(), 0);"
    )
    page.idle()
    assert page["status"].text in ("Stopped",)
    assert not page["stop"].is_enabled()


def test_looks_at_a_dropped_picture(page, a_picture: Path, looker):
    page.open("look")
    page.type("labels", "a red cube, a cat, noise")
    page.drop("#drop-look", a_picture)
    page.until(lambda: len(page.all("#looked dt")) == 3)
    page.idle()
    best = looker.classify([a_picture], ["a red cube", "a cat", "noise"])[0][0]
    assert page.all("#looked dt")[0].text.replace("\n", " ") == f"{best.label} {100 * best.probability:.1f} %"
    assert not page.errors()


def test_searches_the_folder(page, a_picture: Path):
    page.open("look")
    page.type("query", "a red cube")
    page.all("[data-testid=search]")[0].click()
    page.until(lambda: len(page.all("#hits button")) == 6)
    page.idle()
    assert "6 of 6" in page["search-status"].text
    wanted = page.all("#hits img")[5].get_attribute("alt")
    page.all("#hits button")[5].click()  # more like this one
    page.until(lambda: page.all("#hits img") and page.all("#hits img")[0].get_attribute("alt") == wanted)
    assert not page.errors()


def test_watches_runs(page, folders):
    page.open("train")
    page.until(lambda: page.all("#chart path.a"))
    Select(page["run-a"]).select_by_visible_text("first")
    Select(page["run-b"]).select_by_visible_text("second")
    page.until(lambda: page.all("#chart path.b"))
    page.idle()
    assert len(page.all("#samples img")) == 2
    assert "step 180 of 400" in page["train-status"].text
    journal = folders[1] / "first" / "journal.jsonl"
    journal.write_text(journal.read_text() + '\n{"step": 300, "loss": 0.1}\n')
    page.until(lambda: "first: step 300 of 400" in page["train-status"].text)  # by itself
    assert not page.errors()


def test_the_keyboard_is_enough(page):
    page.open()
    page["tab-draw"].send_keys(Keys.ARROW_RIGHT)
    assert page["room-look"].is_displayed()
    assert page.driver.switch_to.active_element.get_attribute("id") == "tab-look"
    page.driver.switch_to.active_element.send_keys(Keys.END)
    assert page["room-train"].is_displayed()
    page.driver.switch_to.active_element.send_keys(Keys.HOME)
    page.type("count", "1")
    page.type("prompt", "a red cube")
    page["prompt"].send_keys(Keys.ENTER)
    page.until(lambda: page.all("#results button"))
    page.idle()
    page.all("#results button")[0].send_keys(Keys.ENTER)
    page.until(lambda: page.driver.switch_to.active_element.get_attribute("id") == "chosen")


def test_speaks_chinese(page):
    page.open()
    Select(page["language"]).select_by_value("zh")
    assert page["go"].text == "画"
    assert page.driver.execute_script("return document.documentElement.lang") == "zh"
    Select(page["pattern"]).select_by_index(0)
    caption = page["prompt"].get_property("value")
    assert "帽子" in caption
    page.type("count", "1")
    page.click("go")
    page.until(lambda: "张图片" in page["status"].text)
    assert page.all("#results img")[0].get_attribute("alt").endswith(caption)
    page.open()
    assert page["go"].text == "画"  # it is remembered
    Select(page["language"]).select_by_value("en")
    texts = page.driver.execute_script("return [...document.querySelectorAll('[data-t]')].map((n) => n.textContent)")
    assert all(texts)
    page.idle()


def test_is_light_and_quick_and_asks_nobody_else(page, site):
    page.open()
    script = "return performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
    loaded = page.driver.execute_script(f"{script}.map((e) => [e.name, e.decodedBodySize])")
    assert all(name.startswith((site.url, "blob:")) for name, _ in loaded)
    assert sum(size for name, size in loaded) < 300_000


@pytest.mark.parametrize(
    ("width", "dark"),
    [
        pytest.param(1280, True, id="1280-dark"),
        pytest.param(360, False, id="360-light"),
        pytest.param(1280, False, id="1280-light", marks=pytest.mark.slow),
        pytest.param(360, True, id="360-dark", marks=pytest.mark.slow),
    ],
)
def test_shuts_nobody_out(open_browser, site, axe, a_picture, dark, width):
    page = Page(open_browser(dark=dark, width=width, height=900), site.url)
    page.open().draw("a red cube", count=5)
    page.all("#results button")[0].click()
    page.until(lambda: page["chosen"].is_displayed())
    found = {"draw": violations(page, axe)}
    page.open("look")
    page.type("labels", "a red cube, a cat")
    page["files"].send_keys(str(a_picture))
    page.until(lambda: page.all("#looked dt"))
    page.idle()
    found["look"] = violations(page, axe)
    page.open("train")
    page.until(lambda: page.all("#chart path.a"))
    found["train"] = violations(page, axe)
    assert found == {"draw": [], "look": [], "train": []}
    assert not page.errors()


def violations(page: Page, axe: str) -> list[str]:
    """Serious accessibility violations of what is shown, and whether anything is wider than the window."""
    page.driver.execute_script(axe)
    told = page.driver.execute_async_script("const done = arguments[0]; axe.run().then(done)")
    serious = [one for one in told["violations"] if one["impact"] in ("serious", "critical")]
    wide = page.driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
    nodes = [f"{one['id']}: {node['html'][:120]}" for one in serious for node in one["nodes"]]
    return nodes + ([f"wider than the window by {wide} px"] if wide > 0 else [])
