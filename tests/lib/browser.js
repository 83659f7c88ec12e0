// browser.js - drives a headless Chromium through the pipe of its DevTools protocol.
//
//   node browser.js URL [STEP...]
//
// Steps, in the order given:
//   --size WIDTH         width of the window (1280)
//   --scheme light|dark  the colour scheme that the page is asked for
//   --until EXPRESSION   waits until it is true on the page, at most 30 s
//   --eval EXPRESSION    prints its value as a line of JSON
//   --press KEY          presses and releases a key, as in Tab or Enter
//   --shell COMMAND      runs a command of the shell, which must succeed
//   --screenshot FILE    the whole page as PNG
//
// Prints each message of the console, each violation of the page's policy and each request
// to another origin as "problem: ..." and exits with 1 if there was one; with 2 if a step
// failed. The profile is in a folder of its own under TMPDIR.
"use strict";
const { execFileSync, spawn } = require("child_process");
const fs = require("fs");
const os = require("os");
const path = require("path");

const WAIT_MS = 30000;
const POLL_MS = 50;
const [url, ...steps] = process.argv.slice(2);
const profile = fs.mkdtempSync(path.join(os.tmpdir(), "browser."));
const browser = spawn("chromium", [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
  "--disable-background-networking", "--no-first-run", "--hide-scrollbars",
  "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank",
], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });

const problems = [];
const waiting = new Map(); // id of a command -> what awaits its result
const listeners = []; // of events
let lastId = 0;
let session;

function command(method, params = {}) {
  const id = ++lastId;
  const message = { id, method, params, sessionId: session };
  browser.stdio[3].write(JSON.stringify(message) + "\0");
  return new Promise((resolve, reject) => waiting.set(id, { method, resolve, reject }));
}

function receive(message) {
  const { id, method, params, error, result } = message;
  if (id === undefined) {
    listeners.forEach((listener) => listener(method, params));
    return;
  }
  const { method: asked, resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error) reject(new Error(`${asked}: ${error.message}`));
  else resolve(result);
}

let rest = "";
browser.stdio[4].setEncoding("utf8");
browser.stdio[4].on("data", (data) => {
  const parts = (rest + data).split("\0");
  rest = parts.pop();
  parts.forEach((part) => receive(JSON.parse(part)));
});

function watch(method, params) {
  if (method === "Runtime.consoleAPICalled")
    problems.push(`console: ${params.args.map((a) => a.value ?? a.description).join(" ")}`);
  else if (method === "Runtime.exceptionThrown")
    problems.push(`exception: ${params.exceptionDetails.exception?.description ??
      params.exceptionDetails.text}`);
  else if (method === "Log.entryAdded")
    problems.push(`log: ${params.entry.text} (${params.entry.url ?? ""})`);
  else if (method === "Network.requestWillBeSent") {
    const asked = new URL(params.request.url);
    if (asked.protocol !== "data:" && asked.origin !== new URL(url).origin)
      problems.push(`request to ${params.request.url}`);
  }
}

async function evaluate(expression) {
  const { result, exceptionDetails } = await command("Runtime.evaluate",
    { expression, returnByValue: true, awaitPromise: true });
  if (exceptionDetails)
    throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
  return result.value;
}

const actions = {
  "--size": (width) => command("Emulation.setDeviceMetricsOverride",
    { width: Number(width), height: 900, deviceScaleFactor: 1, mobile: Number(width) < 600 }),
  "--scheme": (scheme) => command("Emulation.setEmulatedMedia",
    { features: [{ name: "prefers-color-scheme", value: scheme }] }),
  "--until": async (expression) => {
    const end = Date.now() + WAIT_MS;
    while (!(await evaluate(expression))) {
      if (Date.now() > end) throw new Error(`not within 30 s: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  },
  "--eval": async (expression) => console.log(JSON.stringify(await evaluate(expression))),
  "--press": async (key) => {
    await command("Input.dispatchKeyEvent", { type: "keyDown", key, code: key });
    await command("Input.dispatchKeyEvent", { type: "keyUp", key, code: key });
  },
  "--shell": (line) => execFileSync("sh", ["-c", line]),
  "--screenshot": async (file) => {
    const { cssContentSize } = await command("Page.getLayoutMetrics");
    const { data } = await command("Page.captureScreenshot", { captureBeyondViewport: true,
      clip: { x: 0, y: 0, width: cssContentSize.width, height: cssContentSize.height,
        scale: 1 } });
    fs.writeFileSync(file, Buffer.from(data, "base64"));
  },
};

async function run() {
  const { targetId } = await command("Target.createTarget", { url: "about:blank" });
  const attached = await command("Target.attachToTarget", { targetId, flatten: true });
  session = attached.sessionId;
  listeners.push(watch);
  for (const domain of ["Page", "Runtime", "Log", "Network"]) await command(`${domain}.enable`);
  await actions["--size"](1280);
  const loaded = new Promise((resolve) => listeners.push((method) => {
    if (method === "Page.loadEventFired") resolve();
  }));
  const { errorText } = await command("Page.navigate", { url });
  if (errorText) throw new Error(`${url}: ${errorText}`);
  await loaded;
  for (let i = 0; i < steps.length; i += 2) {
    if (!actions[steps[i]]) throw new Error(`found "${steps[i]}", expected a step`);
    await actions[steps[i]](steps[i + 1]);
  }
}

function finish(status) {
  browser.removeAllListeners("exit");
  browser.on("exit", () => {
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    process.exit(status);
  });
  browser.kill("SIGKILL");
}

browser.on("exit", () => {
  console.error("browser.js: chromium has exited");
  process.exit(2);
});
run().then(() => {
  problems.forEach((problem) => console.log(`problem: ${problem}`));
  finish(problems.length > 0 ? 1 : 0);
}, (error) => {
  problems.forEach((problem) => console.log(`problem: ${problem}`));
  console.error(`browser.js: ${error.message}`);
  finish(2);
});
