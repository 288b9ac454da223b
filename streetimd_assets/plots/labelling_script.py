"""The script of the labelling page: one picture at a time, one key a label.

What it knows stands in the page as JSON, so that this text is the same for every study and its hash
can be named in the page's policy. It writes words from outside as text only, never as markup.
"""

SCRIPT = r"""
(() => {
const given = JSON.parse(document.getElementById("labelling-data").textContent);
const images = given.images, choices = given.choices, n = images.length;
const by = (id) => document.getElementById(id);
const keys = new Map(choices.filter((choice) => choice.key).map((choice) => [choice.key, choice.name]));
const prefix = `streetimd-labels/${given.study}/${given.local_authority}/${given.category_set_hash}/`;
let rater = "", at = 0, labels = new Map(), unsaved = 0, isKept = true, pending = 0;

// the browser's own store, which some browsers close to pages opened from disk
const store = {
  get(name) { try { return localStorage.getItem(name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(name, value); return true; } catch { return false; } },
  names() { try { return Object.keys(localStorage); } catch { return []; } },
};
const place = new Map(images.map((image, number) => [image.id, number]));

function tidy(name) { return name.replace(/[\p{C}\s]+/gu, " ").trim().slice(0, 80); }
function keep() {
  const work = {rater, unsaved, labels: [...labels].map(([id, [label, when]]) => [id, label, when])};
  isKept = store.set(prefix + rater.toLowerCase(), JSON.stringify(work));
}
function take(rows) {
  // of two labels of one image the later one holds
  let taken = 0;
  for (const [id, label, when] of rows) {
    if (!place.has(id) || !choices.some((choice) => choice.name === label)) continue;
    const before = labels.get(id);
    if (!before || before[1] < when) { labels.set(id, [label, when]); taken += 1; }
  }
  return taken;
}
function read(name) {
  try { return JSON.parse(store.get(name)); } catch { return null; }
}
function workOf(name) {
  const work = read(prefix + name.toLowerCase());
  return work && Array.isArray(work.labels) ? work : null;
}

// ---- the picture

function next(from) {
  for (let step = 0; step < n; step += 1) {
    const candidate = (from + step) % n;
    if (!labels.has(images[candidate].id)) return candidate;
  }
  return -1;
}
function go(number) {
  clearTimeout(pending);
  pending = 0;
  at = Math.max(0, Math.min(n - 1, number));
  by("finished").hidden = true;
  by("work").hidden = false;
  draw();
}
function draw() {
  const image = images[at], label = labels.get(image.id);
  const picture = by("picture"), gap = by("gap"), link = by("viewer");
  picture.hidden = !image.picture;
  gap.hidden = Boolean(image.picture);
  if (image.picture) picture.src = "data:image/webp;base64," + image.picture; else picture.removeAttribute("src");
  picture.alt = `Street image ${at + 1}`;
  by("gap-words").textContent = image.href
    ? "The picture is not kept. Open it at the provider, look, and label it here."
    : "The picture is missing: choose unsure.";
  link.hidden = !image.href;
  if (image.href) link.href = image.href; else link.removeAttribute("href");
  by("about").textContent = image.about;
  by("place").textContent = `Image ${at + 1} of ${n}`;
  for (const button of document.querySelectorAll("#choices button"))
    button.setAttribute("aria-pressed", String(Boolean(label) && label[0] === button.dataset.name));
  const chosen = label && choices.find((choice) => choice.name === label[0]);
  by("said").textContent = chosen ? `your label: ${chosen.title}` : "not labelled yet";
  by("back").disabled = at === 0;
  by("forward").disabled = at === n - 1;
  progress();
  // the next pictures are decoded while this one is looked at
  for (const soon of images.slice(at + 1, at + 3))
    if (soon.picture) new Image().src = "data:image/webp;base64," + soon.picture;
}
function progress() {
  by("bar").value = labels.size;
  by("count").textContent = `${labels.size} of ${n} labelled${left()}`;
  by("save").textContent = unsaved ? `Save CSV (${unsaved} not saved)` : "Save CSV";
  by("save").classList.toggle("due", unsaved >= 50);
  by("unkept").hidden = isKept;
}
const moments = [];
function left() {
  const spans = moments.slice(1).map((moment, number) => moment - moments[number]).filter((span) => span < 60000);
  if (spans.length < 10 || labels.size === n) return "";
  spans.sort((one, other) => one - other);
  const minutes = Math.round(spans[Math.floor(spans.length / 2)] * (n - labels.size) / 60000);
  return `, about ${minutes < 1 ? "a minute" : minutes + (minutes === 1 ? " minute" : " minutes")} left`;
}

// ---- labelling

function choose(name) {
  // a key struck while the last answer is still shown is meant for the next picture
  if (pending) advance();
  if (by("work").hidden) return;
  labels.set(images[at].id, [name, new Date().toISOString()]);
  unsaved += 1;
  moments.push(Date.now());
  if (moments.length > 40) moments.shift();
  keep();
  draw();
  pending = setTimeout(advance, 160);
}
function advance() {
  clearTimeout(pending);
  pending = 0;
  const following = next(at + 1 < n ? at + 1 : 0);
  if (following < 0) finish(); else go(following);
}
function finish() {
  by("work").hidden = true;
  by("finished").hidden = false;
  by("finished-words").textContent =
    `All ${n} images are labelled. Save the CSV and send it to whoever asked for it, ${rater}.`;
  progress();
  by("finished-save").focus();
}

// ---- CSV

function cell(text) {
  // a spreadsheet would run a cell that begins so
  const safe = /^[=+\-@\t\r']/.test(text) ? "'" + text : text;
  return /[",;\r\n']/.test(safe) || safe !== text ? '"' + safe.replaceAll('"', '""') + '"' : safe;
}
function csv() {
  const columns = ["image_id", "rater", "label", "labelled_at", "study", "local_authority", "category_set_hash"];
  const rows = images.filter((image) => labels.has(image.id)).map((image) => {
    const [label, when] = labels.get(image.id);
    return [image.id, rater, label, when, given.study, given.local_authority, given.category_set_hash];
  });
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
function save() {
  if (!labels.size) { say("Nothing to save yet: label an image first."); return; }
  const letters = rater.normalize("NFKD").replace(/\p{M}+/gu, "").toLowerCase();
  const name = letters.replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
  link.download = `labels_${given.study}_${given.local_authority}_${name || "rater"}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  unsaved = 0;
  keep();
  progress();
  say(`Saved ${labels.size} labels as ${link.download}, where your browser puts downloads.`);
}
function parse(text) {
  const rows = [[]];
  let value = "", quoted = false;
  text = text.replace(/^\ufeff/, "");
  // where a comma divides decimals, spreadsheets divide cells by semicolons
  const head = text.split("\n", 1)[0], divider = head.split(";").length > head.split(",").length ? ";" : ",";
  const plain = (cell) => cell.replace(/\r$/, "").replace(/^'(?=[=+\-@\t\r'])/, "");
  for (let i = 0; i < text.length; i += 1) {
    const sign = text[i];
    if (quoted) {
      if (sign !== '"') value += sign;
      else if (text[i + 1] === '"') { value += '"'; i += 1; } else quoted = false;
    } else if (sign === '"') quoted = true;
    else if (sign === divider || sign === "\n") {
      rows[rows.length - 1].push(plain(value));
      value = "";
      if (sign === "\n") rows.push([]);
    } else value += sign;
  }
  if (value) rows[rows.length - 1].push(plain(value));
  return rows.filter((row) => row.length > 1);
}
async function load(file) {
  const [columns, ...rows] = parse(await file.text());
  const column = (name) => (columns || []).indexOf(name);
  const wanted = ["image_id", "rater", "label", "labelled_at", "category_set_hash"].map(column);
  if (wanted.some((number) => number < 0)) return say(`${file.name} is no CSV saved by this page.`);
  const [id, who, label, when, hash] = wanted;
  const mine = rows.filter((row) => row[hash] === given.category_set_hash &&
    (row[who] || "").toLowerCase() === rater.toLowerCase());
  const taken = take(mine.map((row) => [row[id], row[label], row[when]]));
  if (!taken) return say(`${file.name} has no label of ${rater} for these images that is not here already.`);
  keep();
  const following = next(0);
  if (following < 0) finish(); else go(following);
  say(`Took ${taken} labels from ${file.name}.`);
}
let saying = 0;
function say(words) {
  by("saying").textContent = words;
  clearTimeout(saying);
  saying = setTimeout(() => { by("saying").textContent = ""; }, 12000);
}

// ---- beginning

function begin(name) {
  rater = tidy(name);
  if (!rater) { by("rater").focus(); return; }
  labels = new Map();
  unsaved = 0;
  const work = workOf(rater);
  if (work) {
    rater = tidy(String(work.rater)) || rater;
    take(work.labels);
    unsaved = Number(work.unsaved) || 0;
  }
  keep();
  by("who").textContent = rater;
  // a key struck before the form is gone from the screen is already meant for the first picture
  document.activeElement.blur();
  by("start").hidden = true;
  by("stage").hidden = false;
  document.body.classList.add("labelling");
  const following = next(0);
  if (following < 0) finish(); else go(following);
  if (work && labels.size) say(`Welcome back: ${labels.size} labels of yours were kept in this browser.`);
}
function offer() {
  for (const name of store.names().filter((key) => key.startsWith(prefix)).sort()) {
    const work = read(name);
    if (!work || !Array.isArray(work.labels) || !work.labels.length) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Go on as ${tidy(String(work.rater))} (${work.labels.length} labelled)`;
    button.addEventListener("click", () => begin(String(work.rater)));
    by("kept").append(button);
  }
}
by("named").addEventListener("submit", (event) => { event.preventDefault(); begin(by("rater").value); });
for (const button of document.querySelectorAll("#choices button"))
  button.addEventListener("click", () => { button.blur(); choose(button.dataset.name); });
by("back").addEventListener("click", () => { by("back").blur(); go(at - 1); });
by("forward").addEventListener("click", () => { by("forward").blur(); go(at + 1); });
by("save").addEventListener("click", () => { by("save").blur(); save(); });
by("finished-save").addEventListener("click", save);
by("review").addEventListener("click", () => go(n - 1));
by("load").addEventListener("change", (event) => {
  if (event.target.files.length) load(event.target.files[0]);
  event.target.value = "";
  event.target.blur();
});
function help(isOpen) {
  by("help").hidden = !isOpen;
  by("show-help").setAttribute("aria-expanded", String(isOpen));
}
by("show-help").addEventListener("click", () => { by("show-help").blur(); help(by("help").hidden); });

document.addEventListener("keydown", (event) => {
  if (by("stage").hidden) return;
  const key = event.key.toLowerCase();
  if ((event.ctrlKey || event.metaKey) && key === "s") { event.preventDefault(); save(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  if (event.key === "?") { event.preventDefault(); help(by("help").hidden); return; }
  if (event.key === "Escape") { help(false); return; }
  const moves = {ArrowLeft: -1, Backspace: -1, ArrowRight: 1};
  if (event.key in moves) {
    event.preventDefault();
    if (by("finished").hidden) go((pending && moves[event.key] < 0 ? at + 1 : at) + moves[event.key]);
    else if (moves[event.key] < 0) go(at);
    return;
  }
  if (event.key === "Home" || event.key === "End") {
    event.preventDefault();
    const following = event.key === "Home" ? 0 : next(at);
    if (following >= 0) go(following);
    return;
  }
  // a key held down would run through the pictures
  if (event.repeat) return;
  if (key === "o" && !by("viewer").hidden && !by("work").hidden) { by("viewer").click(); return; }
  if (keys.has(key)) { event.preventDefault(); choose(keys.get(key)); }
});
addEventListener("beforeunload", (event) => { if (unsaved) { event.preventDefault(); event.returnValue = ""; } });
by("bar").max = n;
offer();
by("noscript").hidden = true;
by("start").hidden = !n;
if (n) by("rater").focus();
})();
"""
