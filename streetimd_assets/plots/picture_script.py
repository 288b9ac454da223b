"""The keyboard of a sheet of pictures: arrow keys from one to the next, and a larger view."""

KEYS = (
    '<p class="keys quiet" hidden>With the keyboard: <kbd>Tab</kbd> to a sheet, arrow keys from picture to '
    "picture, <kbd>Enter</kbd> for a larger view, <kbd>Esc</kbd> back, <kbd>?</kbd> for all keys.</p>"
)

# with the script a sheet is one stop of the Tab key, and arrows move inside it
SCRIPT = """
(() => {
  const figures = [...document.querySelectorAll(".sheet figure")];
  const places = new Map(figures.map((figure, place) => [figure, place]));
  const box = document.createElement("dialog");
  box.className = "larger";
  document.body.append(box);
  let shown = null;

  function stop(figure) {
    for (const other of figure.parentElement.children) other.tabIndex = other === figure ? 0 : -1;
  }
  for (const sheet of document.querySelectorAll(".sheet")) stop(sheet.firstElementChild);
  for (const link of document.querySelectorAll(".sheet figure a")) link.tabIndex = -1;
  for (const line of document.querySelectorAll(".keys")) line.hidden = false;

  function columns(figure) {
    const all = [...figure.parentElement.children];
    const below = all.findIndex((other) => other.offsetTop > all[0].offsetTop);
    return below < 0 ? all.length : below;
  }
  function target(figure, key) {
    const all = [...figure.parentElement.children], place = all.indexOf(figure);
    const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(figure), ArrowDown: columns(figure)}[key];
    if (key === "Home") return all[0];
    if (key === "End") return all[all.length - 1];
    if (all[place + step]) return all[place + step];
    // past the edge of a sheet: the next one, or the last row if it is only shorter
    if (key === "ArrowDown" && place < all.length - 1 && columns(figure) < all.length &&
        all[all.length - 1].offsetTop > figure.offsetTop) return all[all.length - 1];
    const edge = figures[places.get(step > 0 ? all[all.length - 1] : all[0]) + (step > 0 ? 1 : -1)];
    return edge || figure;
  }
  function keyLine(words) {
    const line = document.createElement("p");
    line.className = "quiet";
    for (const [key, does] of words) {
      const sign = document.createElement("kbd");
      sign.textContent = key;
      line.append(sign, ` ${does}  `);
    }
    return line;
  }
  function show(figure) {
    shown = figure;
    const copy = figure.cloneNode(true);
    copy.removeAttribute("tabindex");
    for (const link of copy.querySelectorAll("a")) link.tabIndex = 0;
    const keys = [["\\u2190 \\u2192", "other pictures"], ["Esc", "back"]];
    if (copy.querySelector("a")) keys.unshift(["Enter", "open at the provider"]);
    box.setAttribute("aria-label", figure.title);
    box.replaceChildren(copy, keyLine(keys));
    if (!box.open) box.showModal();
    (copy.querySelector("a") || box).focus({preventScroll: true});
  }
  function help() {
    shown = null;
    const title = document.createElement("h2");
    title.textContent = "Keys";
    const keys = [["Tab", "next sheet or link"], ["\\u2190 \\u2191 \\u2192 \\u2193", "from picture to picture"],
      ["Home End", "first and last of the sheet"], ["Enter", "larger view; there, open at the provider"],
      ["Esc", "close"], ["?", "this list"]];
    box.setAttribute("aria-label", "Keys");
    box.replaceChildren(title, ...keys.map((line) => keyLine([line])));
    if (!box.open) box.showModal();
  }
  box.addEventListener("close", () => { if (shown) { stop(shown); shown.focus(); } shown = null; });
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.addEventListener("click", (event) => {
    const figure = event.target.closest(".sheet figure");
    if (!figure || event.target.tagName !== "IMG" || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(figure);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "?") { event.preventDefault(); box.open && !shown ? box.close() : help(); return; }
    const moves = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key);
    if (box.open) {
      if (shown && moves) { event.preventDefault(); show(target(shown, event.key)); }
      return;
    }
    const figure = event.target.closest && event.target.closest(".sheet figure");
    if (!figure || event.target !== figure) return;
    if (moves) { event.preventDefault(); const next = target(figure, event.key); stop(next); next.focus(); }
    if (event.key === "Enter") { event.preventDefault(); show(figure); }
  });
})();
"""
