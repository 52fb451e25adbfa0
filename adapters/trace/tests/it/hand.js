// What a reader does: looks at another stream, zooms, filters, asks for what is under the hand.
const press = (on, key, more) => on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
const point = (on, kind, x, y) => on.dispatchEvent(new PointerEvent(kind, { clientX: x, clientY: y, bubbles: true, pointerId: 1, button: 0 }));
const by = (id) => document.getElementById(id);
const said = [];
const settle = () => new Promise((done) => setTimeout(done, 60));
(async () => {
  said.push(`range0=${by("range").textContent}`);
  const plot = document.querySelector("#panels canvas");
  press(plot, "+"); press(plot, "ArrowRight"); press(plot, "ArrowLeft", { shiftKey: true });
  await settle();
  said.push(`range1=${by("range").textContent}`);
  by("packets-zoomed").click();
  await settle();
  said.push(`zoomed=${by("packets-count").textContent}`);
  by("packets-zoomed").click();
  press(plot, "0");
  by("packets-filter").value = "lost";
  by("packets-filter").dispatchEvent(new Event("input"));
  await settle();
  said.push(`lost=${by("packets-count").textContent}`);
  const axis = by("axis");
  if (axis.options.length > 2) {
    axis.selectedIndex = 2;
    axis.dispatchEvent(new Event("change"));
    await settle();
  }
  said.push(`axis=${axis.selectedOptions[0].textContent}`);
  const box = plot.getBoundingClientRect();
  for (let x = 80; x < box.width - 80; x += 3) {
    for (let y = 20; y < box.height - 30; y += 12) point(plot, "pointermove", box.left + x, box.top + y);
  }
  said.push(`tip=${by("tip").textContent.slice(0, 40)}`);
  for (const canvas of document.querySelectorAll("canvas")) {
    const place = canvas.getBoundingClientRect();
    point(canvas, "pointermove", place.left + place.width / 2, place.top + 10);
    canvas.dispatchEvent(new MouseEvent("click", { clientX: place.left + 20, clientY: place.top + 30, bubbles: true }));
  }
  by("theme").click(); by("theme").click();
  await settle();
  said.push(`theme=${document.documentElement.dataset.theme}`);
  document.body.append(Object.assign(document.createElement("pre"), { id: "said", textContent: said.join("|") }));
})();
