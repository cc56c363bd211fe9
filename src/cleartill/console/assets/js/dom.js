// @ts-check
/** Making elements. Text is always text: nothing here, and nothing in the console, parses markup. */

const SVG = "http://www.w3.org/2000/svg";
const SAFE_ADDRESS = /^(https?:|mailto:|[/#?]|\.{0,2}\/)/i;

/**
 * An HTML element. `props`: class (string or array), text, on {click: fn}, data {…}, aria {…}, and plain attributes
 * (`true` sets an empty one; null, undefined and false leave it out). `children`: nodes, strings, numbers, arrays; what
 * is null, undefined or a boolean is skipped. Throws for a `style` or `on…` attribute, and for an address of a scheme
 * that is not for links.
 */
export function h(tag, props, ...children) {
  return made(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props, ...children) {
  return made(document.createElementNS(SVG, tag), props, children);
}

/** Replace all children. */
export function fill(parent, ...children) {
  parent.replaceChildren(...nodes(children));
  return parent;
}

/** The children that `h` takes, as nodes and strings, flat. */
export function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && typeof child !== "boolean")
    .map((child) => (child instanceof Node ? child : String(child)));
}

function made(element, props, children) {
  if (isChild(props)) children = [props, ...children];
  else for (const [name, value] of Object.entries(props ?? {})) set(element, name, value);
  element.append(...nodes(children));
  return element;
}

function isChild(value) {
  return value instanceof Node || Array.isArray(value) || (typeof value !== "object" && value !== undefined);
}

function set(element, name, value) {
  if (value === null || value === undefined) return;
  if (name === "class") attribute(element, name, [value].flat().filter(Boolean).join(" ") || null);
  else if (name === "text") element.textContent = value;
  else if (name === "on") each(value, (type, heard) => element.addEventListener(type, heard));
  else if (name === "data") each(value, (key, one) => attribute(element, `data-${kebab(key)}`, one));
  else if (name === "aria") each(value, (key, one) => state(element, `aria-${kebab(key)}`, one));
  else attribute(element, name, value);
}

function each(object, act) {
  for (const [key, value] of Object.entries(object)) act(key, value);
}

function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "style" || name.startsWith("on")) throw new TypeError(`${name} is not set as an attribute`);
  if ((name === "href" || name === "src") && !SAFE_ADDRESS.test(String(value))) {
    throw new TypeError("not an address to link to");
  }
  element.setAttribute(name, value === true ? "" : String(value));
}

function state(element, name, value) {
  if (value !== null && value !== undefined) element.setAttribute(name, String(value));
}

function kebab(name) {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
