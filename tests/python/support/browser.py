"""Opens pages in headless Chromium, and says what they asked for, complained of and drew."""
import json
import pathlib
import shutil

import pytest


class Browser:
    """One Chromium. It reaches no network, and starts with an empty profile."""

    def __init__(self):
        webdriver = pytest.importorskip("selenium.webdriver", reason="python3-selenium is not installed")
        if not (shutil.which("chromium") and shutil.which("chromedriver")):
            pytest.skip("chromium and chromium-driver are not installed")
        from selenium.webdriver.chrome.service import Service
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--force-device-scale-factor=1",
                     "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
        self.driver.set_page_load_timeout(120)

    def close(self):
        self.driver.quit()

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def set_width(self, width, height=900):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def open(self, path, width=1280):
        """Opens a file and waits until it has drawn itself."""
        self.set_width(width)
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(pathlib.Path(path).resolve().as_uri())
        assert self.run("return document.documentElement.dataset.ready") == "yes", self.driver.get_log("browser")
        self.settle()

    def settle(self):
        """Waits for two frames, so that what reacts to a size has reacted."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50)));")

    def complaints(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses that the page asked for since it was opened, but for data that it holds itself."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        addresses = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [address for address in addresses if not address.startswith("data:")]

    def screenshot(self, path, whole=True):
        """A picture of the page, or of the part that is in view."""
        if whole:
            height = self.run("return Math.ceil(document.documentElement.getBoundingClientRect().height)")
            width = self.run("return window.innerWidth")
            self.set_width(width, height)
            self.settle()
        self.driver.save_screenshot(str(path))

    def point_at(self, selector, share_x, share_y, kind="mouseMoved", **more):
        """Moves the mouse to a place in an element, given as shares of its size."""
        x, y = self.run("""const node = document.querySelector(arguments[0]); node.scrollIntoView({block: 'center'});
            const box = node.getBoundingClientRect();
            return [box.left + arguments[1] * box.width, box.top + arguments[2] * box.height];""", selector, share_x, share_y)
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more})
        self.settle()


def data_of(page):
    """The JSON block of a page."""
    text = pathlib.Path(page).read_text(encoding="utf-8")
    return json.loads(text.split('id="report-data">', 1)[1].split("</script>", 1)[0])
