"""The scorecard as a page: what is in it, and what a browser makes of it."""

import re
import shutil
import subprocess
import zlib
from html.parser import HTMLParser

import pytest

from tests.report.conftest import gathered, record
from twelvefactor.factor import FACTORS
from twelvefactor.report import html

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


class Page(HTMLParser):
    """The elements of a page, and whether they are nested as they should."""

    VOID = {"meta", "br", "img", "link", "input"}

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, *tags):
        return [attrs for tag, attrs in self.elements if tag in tags]


@pytest.fixture
def page(card):
    return Page(html.text(card))


class TestMarkup:
    """Without a browser."""

    def test_every_element_is_closed_where_it_was_opened(self, page):
        """
        The parser saw nothing left over.
        """
        assert page.open == []

    def test_it_loads_and_runs_nothing(self, page, card):
        """
        One file, that works from a mail and offline.
        """
        assert not page.all("script", "link", "img", "iframe", "object")
        assert not re.search(r"url\(|@import|https?://|src=|\son\w+=", html.text(card))

    def test_landmarks_and_headings(self, page):
        """
        A language, a title, one main, one first heading, no level left out.
        """
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]

        assert page.all("html") == [{"lang": "en"}]
        assert [len(page.all(tag)) for tag in ("title", "header", "main", "footer", "h1")] == [1] * 5
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))

    def test_links_lead_somewhere(self, page):
        """
        Ids are there once.
        """
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        targets = {attrs["href"].removeprefix("#") for attrs in page.all("a")}

        assert len(ids) == len(set(ids))
        assert targets <= set(ids)
        assert {factor.page for factor in FACTORS} <= targets
        assert {attrs["aria-labelledby"] for attrs in page.all("section")} <= set(ids)

    def test_tables_say_what_their_cells_are(self, page):
        """
        A caption, and a scope for each heading.
        """
        assert len(page.all("caption")) == len(page.all("table")) == 13
        assert {attrs.get("scope") for attrs in page.all("th")} == {"col", "row"}

    def test_what_was_lost_is_open(self, page):
        """
        Each factor can be opened from the keyboard: a details element is.
        """
        assert len(page.all("details")) == len(page.all("summary")) == 12
        assert sum("open" in attrs for attrs in page.all("details")) == 3  # VI, IX, XI

    def test_a_verdict_is_a_word_and_not_a_colour(self, card):
        """
        For those who do not see the colour.
        """
        words = re.findall(r'<span class="word (\w+)">([\w ]+)</span>', html.text(card))

        assert {("pass", "pass"), ("fail", "fail"), ("unknown", "unknown"), ("half", "half")} <= set(words)

    def test_what_the_app_is_called_is_no_markup(self, card):
        """
        Text is escaped.
        """
        assert "put &lt;b&gt;a list&lt;/b&gt; &amp; more" in html.text(card)

    def test_waivers_and_changes_are_told(self, card):
        """
        With their reasons.
        """
        import dataclasses

        told = html.text(dataclasses.replace(card, changes=("VI: 1, now 0",)))

        assert "waived until 2027-01-01: thumbnails are rebuilt" in told
        assert "known: the baseline lists it" in told
        assert "<li>VI: 1, now 0</li>" in told


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_can_be_read(scheme):
    """
    At least 4.5 to 1 on both backgrounds, as WCAG AA asks, in light and in dark.
    """
    colours = [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in html.STYLE.split("@media (prefers")[:2]][scheme]

    for ink in ("ink", "soft", "link", "good", "fair", "bad"):
        for ground in ("page", "card"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


PROBE = """
<script>
addEventListener("load", () => {
  const wide = document.documentElement.scrollWidth > innerWidth;
  const summaries = [...document.querySelectorAll("summary")];
  summaries[0].focus();
  const focused = document.activeElement === summaries[0];
  location.hash = "#backing-services";
  setTimeout(() => {
    const opened = document.getElementById("backing-services").closest("details").open;
    const loaded = performance.getEntriesByType("resource").length;
    document.body.dataset.seen = [wide, focused, opened, loaded].join();
  }, 50);
});
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: apt-get install chromium")
class TestInABrowser:
    """Headless Chromium."""

    def browse(self, file, profile, *options):
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *options]
        ended = subprocess.run(
            [*command, f"--user-data-dir={profile}", file.as_uri()], capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    @pytest.fixture
    def file(self, tmp_path, card):
        file = tmp_path / "report.html"
        file.write_text(html.text(card))
        return file

    @pytest.mark.parametrize(("scheme", "ground"), [(1, (255, 255, 255)), (0, (0x14, 0x17, 0x1B))])
    def test_it_is_light_and_dark(self, file, tmp_path, scheme, ground):
        """
        As the reader's system is; the corner of the screenshot shows the page's ground.
        """
        picture = tmp_path / "report.png"

        self.browse(
            file, tmp_path / "profile", f"--blink-settings=preferredColorScheme={scheme}",
            f"--screenshot={picture}", "--window-size=1000,1400",
        )  # fmt: skip

        assert size_and_corner(picture.read_bytes()) == ((1000, 1400), ground)

    def test_it_works_from_the_keyboard_and_on_a_telephone(self, file, tmp_path):
        """
        Nothing scrolls sideways at 500 pixels, summaries take the focus, a link opens its factor, nothing is loaded.
        """
        file.write_text(file.read_text().replace("</body>", PROBE))

        dom = self.browse(
            file, tmp_path / "profile", "--dump-dom", "--window-size=500,900", "--virtual-time-budget=3000"
        )

        assert 'data-seen="false,true,true,0"' in dom


def size_and_corner(png):
    """The size of a picture, and its first pixel: no filter of PNG changes that one."""
    assert png.startswith(b"\x89PNG")
    width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    data, at = b"", 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    return (width, height), tuple(zlib.decompress(data)[1:4])


def test_a_page_of_a_clean_service_has_no_findings():
    """
    And no empty list.
    """
    assert '<ul class="findings">' not in html.text(gathered(record([])))
