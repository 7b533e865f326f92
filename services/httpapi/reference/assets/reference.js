// The page is complete without this file: it adds a filter and copy buttons.
const said = document.getElementById("said");

for (const block of document.querySelectorAll(".code")) {
  const text = block.querySelector("code");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
      said.textContent = "Copied.";
      setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
    } catch {
      // No clipboard on plain HTTP: select the text instead, ready for the person's own copy key.
      getSelection().selectAllChildren(text);
      said.textContent = "Selected. Copy it with your keyboard.";
    }
  });
  block.append(button);
}

const field = document.createElement("input");
field.type = "search";
field.id = "find";
const label = document.createElement("label");
label.htmlFor = field.id;
label.textContent = "Filter (press /)";
document.getElementById("filter").append(label, field);

const found = document.querySelectorAll("[data-find]");
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  for (const entry of found) {
    entry.hidden = !words.every((word) => entry.dataset.find.includes(word));
    if (!entry.hidden && entry.tagName === "ARTICLE") left++;
  }
  for (const group of document.querySelectorAll("section.group:has(article)")) {
    group.hidden = !group.querySelector("article:not([hidden])");
  }
  said.textContent = words.length ? (left === 1 ? "1 operation matches." : `${left} operations match.`) : "";
});
addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    field.focus();
  }
  if (event.key === "Escape" && event.target === field) {
    field.value = "";
    field.dispatchEvent(new Event("input"));
  }
});

// A link to a field inside closed details opens them.
function reveal() {
  const details = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details");
  if (details) {
    details.open = true;
    document.getElementById(decodeURIComponent(location.hash.slice(1))).scrollIntoView();
  }
}
addEventListener("hashchange", reveal);
reveal();
