// What stands between a person and "Opening…" for ever: files of the page that do not come, as while processes of two
// versions answer at one address. It belongs to no version, and needs no other file.

(() => {
  const most = 3; // times that the page is loaded anew by itself
  const pause = 500; // ms before the first time, and twice as long before each other one
  const key = "authenticator-loads";
  const sentences = {
    en: ["This page didn't load completely.", "Try again"],
    de: ["Diese Seite wurde nicht vollständig geladen.", "Noch einmal versuchen"],
    es: ["Esta página no se cargó por completo.", "Intentar de nuevo"],
    pt: ["Esta página não carregou por completo.", "Tentar de novo"],
    fr: ["Cette page n’a pas été chargée entièrement.", "Réessayer"],
    hi: ["यह पेज पूरा लोड नहीं हुआ।", "फिर से कोशिश करें"],
    ar: ["لم تُحمَّل هذه الصفحة بالكامل.", "إعادة المحاولة"],
  };
  let failed = false;

  const opening = () => document.getElementById("opening"); // gone once the page has started

  function loads() {
    try {
      return Number(sessionStorage.getItem(key));
    } catch {
      return most; // what cannot be counted is not repeated
    }
  }

  function note(n) {
    try {
      sessionStorage.setItem(key, String(n));
    } catch { /* see loads */ }
  }

  function late() {
    if (failed) return;
    failed = true;
    const n = loads();
    if (n < most) {
      note(n + 1);
      setTimeout(() => location.reload(), pause * 2 ** n * (0.5 + Math.random()));
      return;
    }
    note(0);
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", say);
    else say();
  }

  function say() {
    const tag = navigator.languages.map((language) => language.split("-")[0]).find((language) => language in sentences) ?? "en";
    const [text, again] = sentences[tag];
    const view = document.createElement("div");
    view.lang = tag;
    view.dir = tag === "ar" ? "rtl" : "ltr";
    const fault = document.createElement("div");
    fault.setAttribute("role", "alert");
    const heading = document.createElement("h1");
    fault.append(heading);
    const lower = document.createElement("div");
    lower.className = "lower";
    const button = document.createElement("button");
    button.textContent = again;
    button.addEventListener("click", () => location.reload());
    lower.append(button);
    view.append(fault, lower);
    opening()?.replaceWith(view);
    heading.textContent = text; // what changes is what an alert says
  }

  addEventListener("error", ({ target }) => {
    if (target instanceof HTMLScriptElement || target instanceof HTMLLinkElement) late();
  }, true);
  addEventListener("unhandledrejection", () => { if (document.readyState !== "loading" && opening()) late(); });
  addEventListener("load", () => { if (!failed) note(0); });
})();
