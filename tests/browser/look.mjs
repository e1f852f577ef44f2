// Looks at pages with Chromium and says what it saw, as JSON: the tests judge it.
//
//   node look.mjs <looks.json     {"base": URL, "looks": [{path, width, height, scale, scheme, script, axe, keys, picture}, …]}
//
// Needs `chromium` in PATH, and puppeteer-core and axe-core in the node_modules beside a `node_modules/.bin` in PATH (`make peers`).
import { createRequire } from "node:module";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const PATH = (process.env.PATH ?? "").split(delimiter);
const find = (what, candidates) => {
  const found = candidates.find((path) => existsSync(path));
  if (!found) throw new Error(`${what} is not in PATH: make peers installs it`);
  return found;
};
const packages = find("a folder of Node's packages with puppeteer-core", PATH.filter((folder) => existsSync(join(folder, "../puppeteer-core"))).map((folder) => join(folder, "..")));
const require = createRequire(join(packages, "x.js"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const profile = mkdtempSync(join(tmpdir(), "status-page-"));
const browser = await puppeteer.launch({
  executablePath: find("chromium", PATH.map((folder) => join(folder, "chromium"))),
  headless: true,
  userDataDir: profile,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

// What is on the page. Runs in the browser.
const survey = () => {
  const seen = (element) => element.checkVisibility();
  const text = (element) => element?.textContent.replace(/\s+/g, " ").trim() ?? "";
  const all = (selector) => [...document.querySelectorAll(selector)];
  return {
    title: document.title,
    text: document.body.innerText,
    landmarks: ["header", "nav", "main", "footer"].filter((name) => document.querySelector(name)),
    headings: all("h1,h2,h3,h4,h5,h6").map((heading) => [Number(heading.tagName[1]), text(heading)]),
    tables: all("table").map((table) => ({
      caption: text(table.caption),
      columns: [...table.querySelectorAll("thead th[scope=col]")].map(text),
      rows: table.tBodies[0]?.rows.length ?? 0,
      unheaded: [...(table.tBodies[0]?.rows ?? [])].filter((row) => !row.querySelector("th[scope=row]")).length,
      odd: [...(table.tBodies[0]?.rows ?? [])].filter((row) => [...row.cells].reduce((sum, cell) => sum + cell.colSpan, 0) !== table.tHead?.rows[0].cells.length).length,
    })),
    focusable: all("a[href],button,input,select,textarea,summary,[tabindex='0']").filter(seen).length,
    scripts: all("script").length,
    inlineStyles: all("style,[style]").length,
    inlineHandlers: all("*").filter((element) => [...element.attributes].some((attribute) => attribute.name.startsWith("on"))).length,
    nodes: all("*").length,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    background: getComputedStyle(document.body).backgroundColor,
  };
};

// Walks through the page with the Tab key, from its beginning.
const walk = async (page, most) => {
  await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
  const stops = [];
  for (let step = 0; step < most + 3; step++) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const again = element.dataset.walked === "yes";
      element.dataset.walked = "yes";
      const style = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      return {
        again,
        what: `${element.tagName.toLowerCase()} ${(element.textContent || element.name || "").replace(/\s+/g, " ").trim().slice(0, 60)}`,
        visible: box.width > 0 && box.right > 0 && box.bottom > 0 && box.top < innerHeight && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
      };
    });
    if (!stop || stop.again) break;
    stops.push(stop);
  }
  return stops;
};

const skip = async (page) => {
  await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  return page.evaluate(() => document.activeElement?.tagName.toLowerCase());
};

const look = async (base, { path, width = 1280, height = 900, scale = 1, scheme = "light", script = true, axe: rules, keys, picture }) => {
  const page = await browser.newPage();
  const saw = { path, console: [], requests: [], refused: [] };
  page.on("console", (message) => saw.console.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => saw.console.push(`error: ${error.message}`));
  page.on("request", (request) => saw.requests.push(request.url()));
  page.on("requestfailed", (request) => saw.refused.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on("response", (response) => { if (response.status() >= 400 && response.url() !== base + path) saw.refused.push(`${response.url()}: ${response.status()}`); });
  await page.setViewport({ width, height, deviceScaleFactor: scale });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.evaluateOnNewDocument(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  if (!script) await page.setJavaScriptEnabled(false);
  const response = await page.goto(base + path, { waitUntil: "load", timeout: 60_000 });
  saw.status = response.status();
  saw.policy = response.headers()["content-security-policy"] ?? null;
  if (script) {
    saw.load = await page.evaluate(() => {
      const [entry] = performance.getEntriesByType("navigation");
      return { milliseconds: entry.loadEventEnd - entry.startTime, answered: entry.responseEnd - entry.startTime, bytes: entry.decodedBodySize };
    });
    saw.violations = await page.evaluate(() => globalThis.violations);
  }
  Object.assign(saw, await page.evaluate(survey));
  if (picture) await page.screenshot({ path: picture.file, fullPage: picture.whole ?? false });
  if (rules) {
    // Given through the debugger, which the page's policy does not bind.
    await page.evaluate(axe);
    saw.axe = await page.evaluate(async () => {
      const found = await globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
      const told = (rules) => rules.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: ${node.any.concat(node.all, node.none).map((check) => check.message).join("; ")}`));
      return { violations: told(found.violations), incomplete: told(found.incomplete), passes: found.passes.map((rule) => rule.id) };
    });
  }
  if (keys) {
    saw.skipsTo = await skip(page);
    await page.goto(base + path, { waitUntil: "load" });
    saw.walk = await walk(page, saw.focusable);
  }
  await page.close();
  return saw;
};

try {
  const { base, looks } = JSON.parse(readFileSync(0, "utf8"));
  const seen = [];
  for (const one of looks) seen.push(await look(base, one));
  process.stdout.write(JSON.stringify(seen));
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
