"""A real browser without a screen, by the Chrome DevTools protocol over aiohttp's client: nothing else to install."""

import asyncio
import base64
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--remote-debugging-address=127.0.0.1",
    "about:blank",
)
_WATCH: Final = """
window.__violations = [];
addEventListener("securitypolicyviolation", (event) => {
  __violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


class Page:
    """A tab: what a person does with it, and what it did."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse") -> None:
        self._socket = socket
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last = 0
        self._loaded = asyncio.Event()
        self.requests: list[dict[str, Any]] = []
        """Each request of the page: ``url``, ``method``, ``headers``."""
        self.complaints: list[str] = []
        """What the page raised, and what the browser wrote of it: of refusals by its policy too."""
        self.failing: Callable[[str], bool] | None = None
        """Which addresses find no service from now on; ``cut_off`` sets it."""
        self._reading = asyncio.create_task(self._read(), name="browser")

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._last] = answer
        await self._socket.send_json({"id": self._last, "method": method, "params": parameters})
        return await answer

    async def open(self, address: str) -> None:
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self.command(f"{domain}.enable")
        await self.command("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
        await self._load("Page.navigate", url=address)

    async def reload(self) -> None:
        await self._load("Page.reload")

    async def _load(self, method: str, **parameters: Any) -> None:
        self._loaded.clear()
        await self.command(method, **parameters)
        await asyncio.wait_for(self._loaded.wait(), 60)

    async def run(self, script: str) -> Any:
        """Evaluate an expression in the page; a promise is awaited."""
        answer = await self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, script: str, timeout_s: float = 60) -> None:
        """Wait until an expression is true of the page."""
        look = f"const look = () => ({script}) ? resolve() : setTimeout(look, 20); look();"
        try:
            async with asyncio.timeout(timeout_s):
                await self.run(f"new Promise((resolve) => {{ {look} }})")
        except TimeoutError:
            seen = await self.run("document.body.innerText")
            raise AssertionError(
                f"never true: {script}; complaints: {self.complaints}; the page says:\n{seen}"
            ) from None

    async def click(self, selector: str) -> None:
        """Press the mouse where an element is, as soon as it is there and can be pressed."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.until(f"{found} && {found}.checkVisibility() && !{found}.disabled")
        x, y = await self.run(
            f"(async () => {{ const it = {found}; it.scrollIntoView({{block: 'center', behavior: 'instant'}});"
            " await new Promise(requestAnimationFrame);"
            " const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def write(self, selector: str, text: str) -> None:
        """Put the cursor into a field and write there, in place of what it holds."""
        await self.click(selector)
        await self.run("document.activeElement.select()")
        await self.command("Input.insertText", text=text)

    async def press(self, key: str, modifiers: int = 0) -> None:
        """Press a key: ``Tab``, ``Enter``, ``Escape``, ``Space``. Ctrl is the modifier 2."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32}[key]
        text = {"Enter": "\r", "Space": " "}.get(key, "")
        name = " " if key == "Space" else key
        common = {"key": name, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        await self.command("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        await self.command("Input.dispatchKeyEvent", type="keyUp", **common)

    async def choose(self, selector: str, value: str) -> None:
        """Choose of a list, or of the buttons of a group."""
        await self.run(
            f"(() => {{ const it = document.querySelector({json.dumps(selector)}); it.value = {json.dumps(value)};"
            " it.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )

    async def pick_files(self, selector: str, *paths: Path) -> None:
        """Choose files in a file field."""
        document = await self.command("DOM.getDocument")
        node = await self.command("DOM.querySelector", nodeId=document["root"]["nodeId"], selector=selector)
        await self.command("DOM.setFileInputFiles", nodeId=node["nodeId"], files=[str(path) for path in paths])

    async def drop_files(self, *paths: Path) -> None:
        """Drag files over the page and let them fall."""
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            await self.command("Input.dispatchDragEvent", type=kind, x=300, y=300, data=data)

    async def cut_off(self, matches: Callable[[str], bool]) -> None:
        """Let the next request whose address matches leave, and lose its answer."""
        self.failing = matches
        await self.command("Fetch.enable", patterns=[{"urlPattern": "*", "requestStage": "Response"}])

    async def look(self, *, dark: bool = False, width: int = 1280, height: int = 860) -> None:
        """Show the page to somebody with such a screen."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.command("Emulation.setDeviceMetricsOverride", **size)

    async def picture(self) -> bytes:
        """Return what is seen, as PNG."""
        return base64.b64decode((await self.command("Page.captureScreenshot", format="png"))["data"])

    async def violations(self) -> list[str]:
        """What the page's policy refused."""
        found: list[str] = await self.run("window.__violations")
        return found

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" not in told:
                await self._heard(told["method"], told["params"])
            elif "error" in told:
                self._answers.pop(told["id"]).set_exception(AssertionError(str(told["error"])))
            else:
                self._answers.pop(told["id"]).set_result(told["result"])

    async def _heard(self, event: str, about: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(about["request"])
        elif event == "Page.loadEventFired":
            self._loaded.set()
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(about["exceptionDetails"]))
        elif event == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.complaints.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")
        elif event == "Fetch.requestPaused":
            await self._pass(about["requestId"], about["request"]["url"])

    async def _pass(self, request_id: str, address: str) -> None:
        lost = self.failing is not None and self.failing(address)
        method = "Fetch.failRequest" if lost else "Fetch.continueRequest"
        reason = {"errorReason": "ConnectionReset"} if lost else {}
        if lost:
            self.failing = None
        self._last += 1
        self._answers[self._last] = asyncio.get_running_loop().create_future()
        await self._socket.send_json(
            {"id": self._last, "method": method, "params": {"requestId": request_id, **reason}}
        )


@asynccontextmanager
async def browser_page(folder: Path) -> AsyncIterator[Page]:
    """Start Chromium with a profile in ``folder``, give its only tab, and end it."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        f"--user-data-dir={folder}",
        *_FLAGS,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        address = await asyncio.wait_for(_debugging_address(process), 60)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{address}/json/list") as listed:
                (tab,) = [each for each in await listed.json() if each["type"] == "page"]
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                try:
                    yield page
                finally:
                    await page.close()
    finally:
        process.kill()
        await process.communicate()


async def _debugging_address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    said = []
    while line := (await process.stderr.readline()).decode():
        said.append(line)
        if match := re.match(r"DevTools listening on ws://([^/]+)/", line):
            return match[1]
    raise AssertionError(f"Chromium did not start: {''.join(said)}")
