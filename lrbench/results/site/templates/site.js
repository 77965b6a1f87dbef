"use strict";
(() => {
  const data = document.getElementById("steps");
  if (!data) return;
  const steps = JSON.parse(data.textContent);
  const cell = (row, text, name = "td") => {
    const made = document.createElement(name);
    made.textContent = text;
    row.append(made);
    return made;
  };
  const number = (value) => (value === null ? "not stored" : value.toFixed(2));
  const show = (token) => {
    const { rollout, step } = token.dataset;
    const found = steps[rollout][step];
    const place = document.getElementById(`step-${rollout}`);
    token.parentNode.querySelectorAll(".token").forEach((other) => {
      other.setAttribute("aria-pressed", other === token);
      other.tabIndex = other === token ? 0 : -1;
    });
    const said = document.createElement("p");
    said.textContent = `Step ${Number(step) + 1}: ${found.kl.toFixed(2)} nats. ${found.why}`;
    const table = document.createElement("table");
    const head = document.createElement("tr");
    ["token", "log p expert", "log p amateur", "contrast", "plausible", "target"].forEach((name) => cell(head, name, "th"));
    table.createTHead().append(head);
    const body = table.createTBody();
    found.candidates.forEach(([text, expert, amateur, contrast, plausible, weight, written]) => {
      const row = document.createElement("tr");
      cell(row, written ? `${text} (written)` : text, "th");
      [number(expert), number(amateur), number(contrast), plausible ? "yes" : "no", weight ? weight.toFixed(3) : "0"].forEach((value) => cell(row, value));
      body.append(row);
    });
    const scroll = document.createElement("div");
    scroll.className = "scroll";
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `Step ${Number(step) + 1}`);
    scroll.append(table);
    place.replaceChildren(said, scroll);
  };
  document.addEventListener("click", (event) => {
    const token = event.target.closest(".token");
    if (token) show(token);
  });
  document.addEventListener("keydown", (event) => {
    const token = event.target.closest(".token");
    const other = token && { ArrowRight: token.nextElementSibling, ArrowLeft: token.previousElementSibling }[event.key];
    if (!other) return;
    event.preventDefault();
    show(other);
    other.focus();
  });
})();
