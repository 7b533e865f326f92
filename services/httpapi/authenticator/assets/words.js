// The words of the page: whole sentences with named parts, one module for each language.

import { el } from "./dom.js";

/** languages are those there are, each by its own name. */
export const languages = {
  en: "English", de: "Deutsch", es: "Español", pt: "Português", fr: "Français", hi: "हिन्दी", ar: "العربية",
};

const rightToLeft = ["ar"];

let sentences = {};
let tag = "en";
let locale = "en"; // the same language as the browser writes it: its region decides how times look

/** use loads a language; without a choice the first of the browser's that there is. Where it cannot be loaded, all stays as it is. */
export async function use(choice) {
  const wanted = [choice, ...navigator.languages].map((l) => (l ?? "").split("-")[0]);
  const found = wanted.find((l) => l in languages) ?? "en";
  try {
    sentences = (await import(`./words/${found}.js`)).default;
    tag = found;
  } catch (cause) {
    if (Object.keys(sentences).length > 0) return;
    throw cause;
  }
  locale = navigator.languages.find((l) => l.split("-")[0] === tag) ?? tag;
  document.documentElement.lang = tag;
  document.documentElement.dir = rightToLeft.includes(tag) ? "rtl" : "ltr";
}

/** sentence is the text of a key; where it has plural forms, `n` says which. */
function sentence(key, parts) {
  const found = sentences[key];
  if (typeof found !== "object") return found ?? key;
  return found[new Intl.PluralRules(tag).select(parts.n)] ?? found.other;
}

const pieces = (key, parts) => sentence(key, parts).split(/\{(\w+)\}/).map((piece, i) => (i % 2 === 0 ? piece : parts[piece] ?? ""));

/** t is a sentence as text. */
export function t(key, parts = {}) {
  return pieces(key, parts).map((piece) => (piece instanceof Date ? moment(piece) : String(piece))).join("");
}

/** say is a sentence as nodes: names are isolated, since they may run in the other direction, and times carry their machine form. */
export function say(key, parts = {}) {
  return pieces(key, parts).map((piece, i) => {
    if (piece instanceof Node || i % 2 === 0) return piece;
    return piece instanceof Date ? time(piece) : el("bdi", {}, String(piece));
  });
}

/** moment is a time of day, with its day where that is another. */
function moment(date) {
  const today = date.toDateString() === new Date().toDateString();
  return format(date, today ? { timeStyle: "short" } : { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });
}

export function day(date) {
  return format(date, { day: "numeric", month: "short" });
}

function format(date, options) {
  return Number.isNaN(date.getTime()) ? "–" : new Intl.DateTimeFormat(locale, options).format(date);
}

/** time is a moment as an element. */
export function time(date) {
  const iso = Number.isNaN(date.getTime()) ? undefined : date.toISOString();
  return el("time", { datetime: iso, title: format(date, { dateStyle: "full", timeStyle: "long" }) }, moment(date));
}

/** duration is a length of time in one unit, such as "2 min"; seconds below a minute and a half. */
export function duration(ms, unitDisplay = "short") {
  const seconds = Math.round(ms / 1000);
  const [unit, n] = seconds < 90 ? ["second", seconds] : seconds < 5400 ? ["minute", Math.round(seconds / 60)]
    : seconds < 129_600 ? ["hour", Math.round(seconds / 3600)] : ["day", Math.round(seconds / 86_400)];
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay }).format(n);
}
