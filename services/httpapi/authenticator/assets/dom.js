// The few lines that every view builds its part of the page with. Text only ever becomes text.

/** el makes an element. `on` holds listeners; a property that is false, null or undefined is left out. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  append(node, children);
  return node;
}

export function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
}

/** fill replaces what is in a node. */
export function fill(node, ...children) {
  node.replaceChildren();
  append(node, children);
}

/** setText changes a text only where it differs, so that nothing is read out or laid out twice. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function button(label, press, properties = {}) {
  return el("button", { type: "button", ...properties, on: { click: press } }, label);
}

const svg = "http://www.w3.org/2000/svg";

/** ring is a countdown as a picture; `set` takes the part that is left, from 0 to 1. */
export function ring() {
  const node = document.createElementNS(svg, "svg");
  node.setAttribute("viewBox", "0 0 20 20");
  node.setAttribute("class", "ring");
  node.setAttribute("aria-hidden", "true");
  const circles = ["track", "left"].map((name) => {
    const circle = document.createElementNS(svg, "circle");
    for (const [key, value] of Object.entries({ cx: 10, cy: 10, r: 8, pathLength: 100, class: name })) circle.setAttribute(key, value);
    node.append(circle);
    return circle;
  });
  return { node, set: (left) => circles[1].setAttribute("stroke-dasharray", `${Math.round(left * 100)} 100`) };
}

/** isolated shows a number, code or address in its own direction, whatever the language. */
export function isolated(text) {
  return el("bdi", { dir: "ltr" }, text);
}

/** editing tells whether a person is in the middle of typing or choosing, which is not taken from them. */
export const editing = () => document.activeElement?.matches("input:not([type=checkbox]), select, textarea") ?? false;

/** toTop shows the beginning of a view; what scrolls is the view, or in a low window the page. */
export function toTop() {
  document.getElementById("main").scrollTop = 0;
  scrollTo(0, 0);
}

let status, quiet;

/** announce says a short sentence to a screen reader, in the one status region of the page. */
export function announce(text) {
  status ??= document.getElementById("status");
  status.textContent = "";
  clearTimeout(quiet);
  setTimeout(() => { status.textContent = text; }, 50);
  quiet = setTimeout(() => { status.textContent = ""; }, 5000); // whoever walks through the page later does not meet it
}
