"""The script of linked maps, and the rules for what it adds to a page.

It reads only what stands in the page, writes text as text, and fetches nothing.
"""

CSS = """
svg.map .land { cursor: pointer; } svg.map .land.zoomed { cursor: grab; touch-action: none; }
svg.map .land:focus { outline: none; } figure.map:has(.land:focus-visible) svg.map { outline: 3px solid #0b5394; }
svg.map .mark { fill: none; pointer-events: none; stroke-linejoin: round; stroke: #000; stroke-width: 2.5; }
svg.map .mark.under { stroke: #fff; stroke-width: 6; }
figure.map.live { padding-top: 2.5rem; } figure.map .menu { position: absolute; top: 0; left: 0; right: 5rem; }
figure.map .menu[hidden] { display: none; }
figure.map select, .zoom button { font: inherit; padding: .15rem .4rem; max-width: 100%; background: #fff;
  color: var(--ink); border: 1px solid #8a94a0; border-radius: 4px; }
.zoom { position: absolute; top: 0; right: 0; display: flex; gap: .2rem; }
.zoom button { min-width: 2rem; line-height: 1.3; cursor: pointer; } .zoom button:disabled { color: #9aa5b1; }
.lsoa-box { position: absolute; z-index: 9; pointer-events: none; max-width: 26rem; padding: .5rem .7rem;
  font-size: .88rem; line-height: 1.4; color: var(--ink); background: #fff; border: 1px solid #52606d;
  border-radius: 5px; box-shadow: 0 2px 8px rgb(0 0 0 / .25); }
.lsoa-box[hidden] { display: none; } .lsoa-box b { display: block; }
.lsoa-box dl { display: grid; grid-template-columns: 1fr auto; gap: 0 .9rem; margin: .2rem 0 0; }
.lsoa-box dt { color: var(--quiet); } .lsoa-box dd { margin: 0; text-align: right; white-space: nowrap; }
tr.marked > * { background: #e3eefb; box-shadow: inset 0 2px #0b5394, inset 0 -2px #0b5394; }
tr[id^="lsoa-"] { scroll-margin: 6rem; }
@media print { .zoom, .lsoa-box, figure.map .menu, .mark, .map-hint { display: none; }
  tr.marked > * { background: none; box-shadow: none; } figure.map.live { padding-top: 0; } }
"""

SCRIPT = r"""
(() => {
"use strict";
const store = document.querySelector("script.linked-maps");
if (!store) return;
const {codes, extra} = JSON.parse(store.textContent);
const outlines = codes.map((_, i) => document.getElementById("o" + i));
const places = new Map(codes.map((code, i) => ["lsoa-" + code, i]));
const names = [], maps = [], at = new Map();
const make = (tag, parent, kind) => {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  return parent.appendChild(element);
};
const draw = (tag, parent, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return parent.appendChild(element);
};
const box = make("div", document.body, "lsoa-box");
box.hidden = true;
box.setAttribute("role", "status");
let marked = -1, centres = null, touched = -1, still = null;

for (const figure of document.querySelectorAll("figure.map")) {
  const land = figure.querySelector(".land");
  if (!land) continue;
  const map = {figure, land, words: [], areas: [...figure.querySelector(".areas").children],
    svg: figure.querySelector("svg.map"), keys: [...figure.querySelectorAll(".key")],
    hatching: figure.querySelector(".hatching"), missing: figure.querySelector(".missing")};
  map.areas.forEach((area, i) => {
    at.set(area, i);
    // the box takes the place of the tooltips
    const title = area.lastElementChild, text = title.textContent, cut = text.lastIndexOf(": ");
    if (!maps.length) names.push(text.slice(0, cut - codes[i].length - 1));
    map.words.push(text.slice(cut + 2));
    title.remove();
  });
  map.mark = ["mark under", "mark"].map((kind) => draw("path", land, {class: kind}));
  map.svg.setAttribute("role", "group");
  land.setAttribute("tabindex", "0");
  land.setAttribute("role", "application");
  land.setAttribute("aria-label", map.svg.getAttribute("aria-label")
    + ". Arrow keys move from LSOA to LSOA, plus and minus zoom, Enter goes to its row.");
  maps.push(map);
}
if (!maps.length || !codes.length) return;
const title = (key) => key.querySelector(".label").textContent;
const label = (map) => title(map.keys.find((key) => !key.hasAttribute("hidden")));
// one value of each map; where one map stands for many, all that its menu offers
const values = (i) => maps.length > 1 || !maps[0].choices
  ? maps.map((map) => [label(map), map.words[i]])
  : maps[0].keys.map((key, k) => [title(key), maps[0].choices[k].words[i]]);
const row = (i) => document.getElementById("lsoa-" + codes[i]);

function mark(i) {
  if (i === marked) return;
  if (marked >= 0) row(marked)?.classList.remove("marked");
  marked = i;
  const outline = i < 0 ? "" : outlines[i].getAttribute("d");
  for (const map of maps) for (const path of map.mark) path.setAttribute("d", outline);
  if (i >= 0) row(i)?.classList.add("marked");
}
function show(i, x, y) {
  mark(i);
  box.textContent = "";
  make("b", box).textContent = names[i];
  make("span", box).textContent = codes[i];
  const list = make("dl", box);
  for (const [name, value] of [...values(i), ...(extra[i] || [])]) {
    make("dt", list).textContent = name;
    make("dd", list).textContent = value;
  }
  box.hidden = false;
  const wide = document.documentElement.clientWidth, high = document.documentElement.clientHeight;
  const left = x + 18 + box.offsetWidth < wide ? x + 18 : Math.max(4, x - 18 - box.offsetWidth);
  const top = Math.min(Math.max(4, y + 14), Math.max(4, high - box.offsetHeight - 4));
  box.style.left = left + scrollX + "px";
  box.style.top = top + scrollY + "px";
}
function hide() { box.hidden = true; }
// a row that has the focus stays marked
function leave() { hide(); mark(places.get(document.activeElement.id) ?? -1); }
function go(i, from) {
  const found = row(i);
  if (!found) return;
  still = from;
  hide();
  found.focus({preventScroll: true});
  found.scrollIntoView({block: "center"});
  mark(i);
}

// the nearest LSOA in a direction, those straight ahead first
function next(i, dx, dy) {
  centres ??= outlines.map((outline) => {
    const b = outline.getBBox();
    return [b.x + b.width / 2, b.y + b.height / 2];
  });
  let best = i, least = Infinity;
  for (let k = 0; k < centres.length; k++) {
    const x = centres[k][0] - centres[i][0], y = centres[k][1] - centres[i][1];
    const ahead = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx);
    if (k === i || ahead <= 0 || aside > 2 * ahead) continue;
    if (ahead + 2 * aside < least) { least = ahead + 2 * aside; best = k; }
  }
  return best;
}

// all maps look through the same window
const whole = maps[0].land.viewBox.baseVal;
const full = {x: whole.x, y: whole.y, w: whole.width, h: whole.height};
const most = Math.max(8, full.w / 300);
const view = {...full};
const thin = parseFloat(maps[0].land.querySelector(".areas").getAttribute("stroke-width"));
const per = parseFloat(maps[0].land.dataset.metres);
function look() {
  const zoom = full.w / view.w;
  view.x = Math.min(Math.max(view.x, full.x), full.x + full.w - view.w);
  view.y = Math.min(Math.max(view.y, full.y), full.y + full.h - view.h);
  for (const {land, figure} of maps) {
    land.setAttribute("viewBox", [view.x, view.y, view.w, view.h].join(" "));
    land.classList.toggle("zoomed", zoom > 1);
    land.querySelector(".areas").setAttribute("stroke-width", thin / zoom ** 0.6);
    const pattern = land.querySelector("pattern");
    pattern.setAttribute("patternTransform", `rotate(45) scale(${1 / zoom})`);
    const metres = per * view.w / 800;
    const power = 10 ** Math.floor(Math.log10(190 * metres));
    const bar = power * [5, 2, 1].find((n) => n * power <= 190 * metres);
    const [line, text] = figure.querySelector(".scale").children;
    line.setAttribute("d", `M${766 - bar / metres} 48v10h${bar / metres}v-10`);
    text.textContent = bar.toLocaleString("en-GB") + " m, EPSG:27700";
    const [closer, wider] = figure.querySelectorAll(".zoom button");
    closer.disabled = zoom >= most;
    wider.disabled = zoom <= 1;
  }
}
function zoomBy(factor, x = view.x + view.w / 2, y = view.y + view.h / 2) {
  const w = Math.min(full.w, Math.max(full.w / most, view.w / factor)), by = w / view.w;
  view.x = x - (x - view.x) * by;
  view.y = y - (y - view.y) * by;
  view.w = w;
  view.h *= by;
  look();
}
function centreOf(i) {
  const b = outlines[i].getBBox();
  return [b.x + b.width / 2, b.y + b.height / 2];
}
function bring(i) {
  const [x, y] = centreOf(i);
  if (x > view.x && x < view.x + view.w && y > view.y && y < view.y + view.h) return;
  view.x = x - view.w / 2;
  view.y = y - view.h / 2;
  look();
}

for (const map of maps) {
  const {figure, land} = map;
  figure.classList.add("live");
  let drag = null, dragged = false;
  const tools = make("div", figure, "zoom");
  for (const [sign, name, factor] of [["+", "Zoom in", 2], ["−", "Zoom out", 0.5]]) {
    const button = make("button", tools);
    button.type = "button";
    button.textContent = sign;
    button.setAttribute("aria-label", name);
    button.title = name;
    button.addEventListener("click", () => zoomBy(factor));
  }
  land.addEventListener("pointermove", (event) => {
    if (drag) return;
    const i = at.get(event.target.closest("use, g"));
    if (i === undefined) leave(); else if (event.pointerType === "mouse") show(i, event.clientX, event.clientY);
  });
  land.addEventListener("pointerleave", () => { if (!drag) leave(); });
  land.addEventListener("pointerdown", (event) => {
    dragged = false;
    if (view.w < full.w) drag = {x: event.clientX, y: event.clientY, left: view.x, top: view.y};
  });
  addEventListener("pointermove", (event) => {
    if (!drag) return;
    const seen = land.getBoundingClientRect(), scale = view.w / (land.clientWidth || seen.width);
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (!dragged && Math.hypot(dx, dy) < 5) return;
    dragged = true;
    hide();
    view.x = drag.left - dx * scale;
    view.y = drag.top - dy * scale;
    look();
  });
  addEventListener("pointerup", () => { drag = null; });
  addEventListener("pointercancel", () => { drag = null; });
  land.addEventListener("click", (event) => {
    const i = at.get(event.target.closest("use, g"));
    if (i === undefined || dragged) return;
    // a finger first shows the box, and goes to the row when it taps again
    if (event.pointerType !== "touch" || touched === i) { go(i, event); return; }
    touched = i;
    show(i, event.clientX, event.clientY);
  });
  const beside = (i) => {
    bring(i);
    mark(i);
    const b = map.mark[1].getBoundingClientRect();
    show(i, b.right, b.bottom);
  };
  land.addEventListener("focus", () => { if (land.matches(":focus-visible")) beside(Math.max(marked, 0)); });
  land.addEventListener("blur", leave);
  const arrows = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  land.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const i = Math.max(marked, 0), zooms = {"+": 2, "=": 2, "-": 0.5, "0": 1e-6};
    if (arrows[event.key]) beside(next(i, ...arrows[event.key]));
    else if (zooms[event.key]) { zoomBy(zooms[event.key], ...centreOf(i)); beside(i); }
    else if (event.key === "Enter") go(i);
    else if (event.key === "Escape") leave();
    else return;
    event.preventDefault();
  });

  const data = figure.querySelector("script.choices");
  if (!data) continue;
  const choices = JSON.parse(data.textContent), menu = figure.querySelector(".menu");
  for (const choice of choices) choice.words = choice.words.split("|");
  map.choices = choices;
  menu.hidden = false;
  menu.querySelector("select").addEventListener("change", (event) => {
    const which = event.target.selectedIndex, {palette, signs, words, hatches, below} = choices[which];
    const hatched = new Set(below);
    map.words = words;
    map.areas.forEach((area, i) => area.setAttribute("fill", palette[signs[i]]));
    const joined = (chosen) => outlines.filter((_, i) => chosen(i)).map((o) => o.getAttribute("d")).join("");
    map.hatching.setAttribute("d", joined((i) => hatched.has(i)));
    map.missing.setAttribute("d", joined((i) => signs[i] === " "));
    land.querySelector(".areas").classList.toggle("pale", hatches);
    map.keys.forEach((key, k) => key.toggleAttribute("hidden", k !== which));
    land.setAttribute("aria-label", label(map));
  });
}
look();

// rows answer too: one of them is reached by Tab, the others by the arrow keys
const rows = [...document.querySelectorAll("tr[id^='lsoa-']")].filter((found) => places.has(found.id));
rows.forEach((found, k) => { found.tabIndex = k ? -1 : 0; });
for (const kind of ["mouseover", "focusin"]) document.addEventListener(kind, (event) => {
  // scrolling to a row moves others under a mouse that stands still
  if (still && event.clientX === still.clientX && event.clientY === still.clientY) return;
  const found = event.target.closest("tr[id^='lsoa-']");
  if (found && places.has(found.id)) { hide(); mark(places.get(found.id)); }
  else if (kind === "mouseover" && !event.target.closest("figure.map") && box.hidden) leave();
});
document.addEventListener("keydown", (event) => {
  const k = rows.indexOf(event.target), step = {ArrowUp: -1, ArrowDown: 1}[event.key];
  if (k < 0 || !step || !rows[k + step]) return;
  event.preventDefault();
  rows[k + step].focus();
});
const hint = document.createElement("p");
hint.className = "quiet map-hint";
hint.textContent = "Point at an LSOA, or reach a map by Tab and use the arrow keys, to mark it in "
  + (maps.length > 1 ? "all maps. " : "the map. ")
  + (rows.length ? "A click or Enter goes to its row in the table. " : "") + "Plus and minus zoom.";
const first = maps[0].figure.closest(".pair") || maps[0].figure;
first.before(hint);
})();
"""
