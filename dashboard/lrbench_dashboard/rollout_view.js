// Draws a rollout token by token. Whatever comes from an artifact is set as text, never as markup.
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".rollout");
  const focused = root.querySelector(".token:focus");
  const hadFocus = focused ? Number(focused.dataset.step) : null;

  const element = (kind, classes, text) => {
    const made = document.createElement(kind);
    made.className = classes;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const legend = element("div", "legend");
  const scale = element("div", "scale");
  scale.append(element("div", "ramp"));
  for (const [place, text] of data.ticks) {
    const tick = element("span", "tick", text);
    tick.style.left = `${100 * place}%`;
    scale.append(tick);
  }
  const sample = (classes, token, text) => {
    const both = element("span", "");
    const shown = element("span", `token ${classes}`, token);
    shown.style.setProperty("--warmth", "0%");
    both.append(shown, document.createTextNode(` ${text}`));
    return both;
  };
  const title = element("span", "", data.unit);
  const measure = element("div", "");
  measure.append(title, scale);
  legend.append(measure, sample("kept", "42", "kept"), sample("chosen", "42", "shown below"));

  const hover = element("div", "hover");
  hover.hidden = true;
  hover.id = "hover";
  hover.setAttribute("role", "tooltip");

  const tokens = element("div", "tokens");
  tokens.setAttribute("role", "listbox");
  tokens.setAttribute("aria-label", data.label);
  const shown = data.tokens.map((token, step) => {
    const part = element("span", "token");
    part.append(element("span", token.blank ? "blank" : "", token.text));
    part.classList.toggle("kept", token.kept);
    // The scale has two halves: page to warm, warm to hot.
    const above = token.heat > 0.5;
    part.style.setProperty("--warmth", `${(200 * (token.heat - (above ? 0.5 : 0))).toFixed(1)}%`);
    part.classList.toggle("above", above);
    part.classList.toggle("deep", token.heat >= data.deep);
    part.classList.toggle("deepest", token.heat >= data.deepest);
    part.dataset.step = step;
    part.setAttribute("role", "option");
    part.setAttribute("aria-selected", String(step === data.selected));
    part.setAttribute("aria-describedby", hover.id);
    part.setAttribute("aria-label", token.lines.join("; "));
    part.tabIndex = step === data.selected ? 0 : -1;
    tokens.append(part);
    for (let count = 0; count < token.breaks; count++) tokens.append(document.createElement("br"));
    return part;
  });

  const choose = (step) => setTriggerValue("chosen", step);
  const stepOf = (event) => {
    const part = event.target.closest(".token[data-step]");
    return part === null ? null : Number(part.dataset.step);
  };
  const point = (step) => {
    hover.replaceChildren(...data.tokens[step].lines.map((line) => element("p", "", line)));
    hover.hidden = false;
    const part = shown[step];
    const left = Math.min(part.offsetLeft, root.clientWidth - hover.offsetWidth - 4);
    hover.style.left = `${Math.max(0, left)}px`;
    hover.style.top = `${part.offsetTop + part.offsetHeight + 6}px`;
  };
  const leave = () => { hover.hidden = true; };

  tokens.onclick = (event) => {
    const step = stepOf(event);
    if (step !== null) choose(step);
  };
  tokens.onpointerover = (event) => {
    const step = stepOf(event);
    if (step === null) leave(); else point(step);
  };
  tokens.onpointerleave = leave;
  // Elements have no properties for these two; `tokens` is new each time, so nothing is listened to twice.
  tokens.addEventListener("focusin", (event) => {
    const step = stepOf(event);
    if (step !== null && shown[step].matches(":focus-visible")) point(step);
  });
  tokens.addEventListener("focusout", leave);
  tokens.onkeydown = (event) => {
    const step = stepOf(event);
    if (step === null) return;
    const last = shown.length - 1;
    const moves = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 0, End: last };
    if (event.key === "Enter" || event.key === " ") choose(step);
    else if (event.key === "Escape") leave();
    else if (event.key in moves) shown[Math.min(last, Math.max(0, moves[event.key]))].focus();
    else return;
    event.preventDefault();
  };

  root.replaceChildren(legend, tokens, hover);
  if (hadFocus !== null && hadFocus < shown.length) {
    shown[hadFocus].tabIndex = 0;
    shown[hadFocus].focus();
    leave();
  }
}
